//! What conversations go on from.

use impetus_proto::MAX_MESSAGE_BYTES;
use rusqlite::{OptionalExtension, params};

use super::{
    super::row::{Gap, Order, Page},
    Database, DatabaseError, Kept, kept, signed, write,
};

/// The most turns of one conversation.
const MAX_TURNS: usize = 4096;

/// The most bytes of the kept items of one conversation, of which a worker's message has to hold the texts.
pub(in crate::dialect::openai::responses) const MAX_CONVERSATION_BYTES: usize = MAX_MESSAGE_BYTES;

impl Database {
    /// The items of all turns up to this response, oldest first, which are thereby used; or why there are none.
    pub(in super::super) fn conversation(
        &mut self,
        id: &str,
        caller: &str,
        now: u64,
    ) -> Result<Result<Vec<String>, Gap>, DatabaseError> {
        let mut turns = Vec::new();
        let mut next = Some(id.to_owned());
        while let Some(turn) = next {
            let found: Option<Option<String>> = self
                .connection
                .prepare_cached(
                    "SELECT previous FROM response WHERE id = ?1 AND caller = ?2 AND used_s > ?3",
                )?
                .query_row(params![turn, caller, self.bounds.oldest(now)], |row| row.get(0))
                .optional()?;
            let Some(previous) = found else { return Ok(Err(Gap::Missing(turn))) };
            if turns.len() == MAX_TURNS {
                return Ok(Err(Gap::TooLong));
            }
            turns.push(turn);
            next = previous;
        }
        let (mut items, mut n_bytes) = (Vec::new(), 0);
        for turn in turns.iter().rev() {
            for is_output in [false, true] {
                items.extend(
                    self.items(turn, is_output)?
                        .into_iter()
                        .map(|item| item.json)
                        .inspect(|json| n_bytes += json.len()),
                );
            }
            if n_bytes > MAX_CONVERSATION_BYTES {
                return Ok(Err(Gap::TooLong));
            }
        }
        let transaction = write(&mut self.connection)?;
        for turn in &turns {
            transaction
                .prepare_cached("UPDATE response SET used_s = max(used_s, ?2) WHERE id = ?1")?
                .execute(params![turn, signed(now)])?;
        }
        transaction.commit()?;
        Ok(Ok(items))
    }

    /// An item of any response of this caller's.
    pub(in super::super) fn item(
        &mut self,
        id: &str,
        caller: &str,
        now: u64,
    ) -> Result<Option<Kept>, DatabaseError> {
        let mut query = self.connection.prepare_cached(
            "SELECT item.id, json FROM item JOIN response ON response.id = item.response
             WHERE item.id = ?1 AND caller = ?2 AND used_s > ?3 LIMIT 1",
        )?;
        Ok(query.query_row(params![id, caller, self.bounds.oldest(now)], kept).optional()?)
    }

    /// Some items of a response's input, and whether there are more behind them.
    pub(in super::super) fn inputs(
        &mut self,
        id: &str,
        caller: &str,
        page: &Page,
        now: u64,
    ) -> Result<Option<(Vec<Kept>, bool)>, DatabaseError> {
        let is_there: bool = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM response WHERE id = ?1 AND caller = ?2 AND used_s > ?3)",
            )?
            .query_row(params![id, caller, self.bounds.oldest(now)], |row| row.get(0))?;
        if !is_there {
            return Ok(None);
        }
        let mut items = self.items(id, false)?;
        if page.order == Order::NewestFirst {
            items.reverse();
        }
        if let Some(after) = &page.after {
            let Some(place) = items.iter().position(|item| item.id == *after) else { return Ok(None) };
            items.drain(..=place);
        }
        let has_more = items.len() > page.limit;
        items.truncate(page.limit);
        Ok(Some((items, has_more)))
    }
}
