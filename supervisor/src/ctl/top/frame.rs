//! The view as lines of text.

use std::{fmt::Write, time::Duration};

use impetus_proto::supervisor::{GatewayStatus, PoolStatus, StatusReply, WorkerStatus};

use super::{speed::Speed, view::View};
use crate::ctl::{
    http::plain,
    table::{Table, amount, dash, duration, size},
};

/// How wide the bar of a pool is, its brackets excluded.
const BAR: usize = 20;

/// The shortest name of a model that is shown as it is.
const LEAST_NAME: usize = 12;

/// What the other columns of the table take, about.
const OTHER_COLUMNS: usize = 66;

/// From this width on there is room for why workers ended.
const WIDE: usize = 110;

/// A terminal's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) columns: u16,
    pub(super) rows: u16,
}

/// One line of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Chosen,
}

/// A frame for a terminal of this size: as many lines as that has, none wider than it is.
pub(super) fn lines(view: &View, size: Size) -> Vec<Line> {
    let (columns, rows) = (usize::from(size.columns), usize::from(size.rows));
    let mut lines: Vec<Line> =
        head(view).into_iter().map(|text| Line { text, style: Style::Plain }).collect();
    lines.push(Line { text: String::new(), style: Style::Plain });
    let name = columns.min(WIDE).saturating_sub(OTHER_COLUMNS).max(LEAST_NAME);
    let table = table(view, name, columns >= WIDE);
    let mut rows_of_table = table.lines();
    lines.push(Line { text: rows_of_table.next().unwrap_or_default().to_owned(), style: Style::Bold });
    // The last two lines are of the chosen worker and of the keys.
    let room = rows.saturating_sub(lines.len() + 2).max(1);
    let first = (view.chosen + 1).saturating_sub(room);
    for (idx, row) in rows_of_table.enumerate().skip(first).take(room) {
        let style = if idx == view.chosen { Style::Chosen } else { Style::Plain };
        lines.push(Line { text: row.to_owned(), style });
    }
    lines.truncate(rows.saturating_sub(2));
    let n_blank = rows.saturating_sub(2 + lines.len());
    lines.extend((0..n_blank).map(|_| Line { text: String::new(), style: Style::Plain }));
    lines.push(Line { text: chosen(view), style: Style::Plain });
    lines.push(Line { text: keys(view), style: Style::Bold });
    lines.truncate(rows);
    for line in &mut lines {
        line.text = cut(&line.text, columns);
    }
    lines
}

/// A frame for a program: as wide and as long as it gets.
pub(super) fn whole(view: &View) -> String {
    format!("{}\n\n{}", head(view).join("\n"), table(view, usize::MAX, true))
}

fn head(view: &View) -> Vec<String> {
    let reply = &view.reply;
    let mut lines = vec![first_line(view)];
    let speed = reply.workers.iter().fold(Speed::default(), |sum, worker| sum.plus(view.speed(worker)));
    let sum = |of: fn(&WorkerStatus) -> u32| reply.workers.iter().map(of).sum::<u32>();
    let n_loaded = reply.workers.iter().filter(|worker| !worker.model.is_empty() && worker.pid != 0).count();
    lines.push(format!(
        "{:.1} tokens/s out, {:.1} in; {} of {} slots busy, {} waiting; {n_loaded} of {} models loaded",
        speed.completion,
        speed.prompt,
        sum(|worker| worker.slots_busy),
        sum(|worker| worker.slots_total),
        sum(|worker| worker.waiting),
        reply.models.len(),
    ));
    lines.extend(reply.pools.iter().map(pool));
    lines
}

fn first_line(view: &View) -> String {
    let StatusReply { gateway, uptime_s, version, .. } = &view.reply;
    if view.is_lost {
        return "the server does not answer; trying again".into();
    }
    let up = duration(Duration::from_secs(*uptime_s));
    let gateway = gateway.as_ref().map(gateway_words).unwrap_or_default();
    format!("impetus {version}, up {up}; {gateway}")
}

fn gateway_words(gateway: &GatewayStatus) -> String {
    let scheme = if gateway.tls { "https" } else { "http" };
    let mut words = format!("gateway {} on {scheme}://{}", gateway.state, gateway.listen);
    if gateway.pid != 0 {
        let _ = write!(words, ", {}", size(gateway.rss_bytes));
    }
    if gateway.restarts > 0 {
        let _ = write!(words, ", restarts {}: {}", gateway.restarts, plain(&gateway.last_exit));
    }
    words
}

/// `ram   [=====...............] 3.0 GiB of 12.0 GiB placed, 9.0 GiB available`
fn pool(pool: &PoolStatus) -> String {
    let share = pool.placed_bytes as f64 / pool.limit_bytes.max(1) as f64;
    let n_full = ((share * BAR as f64).ceil() as usize).min(BAR);
    let bar = "=".repeat(n_full) + &".".repeat(BAR - n_full);
    let mut line = format!("{:<5} [{bar}] {}", pool.name, amount(pool.placed_bytes));
    if pool.limit_bytes < u64::MAX {
        let _ = write!(line, " of {}", amount(pool.limit_bytes));
    }
    line.push_str(" placed");
    if pool.total_bytes > 0 {
        let _ = write!(line, ", {} available", amount(pool.available_bytes));
    }
    line
}

/// With names of models no longer than `name`.
fn table(view: &View, name: usize, is_wide: bool) -> String {
    let wide = |text: &'static str| if is_wide { text } else { "" };
    let mut table = Table::new(&[
        "WORKER",
        "MODEL",
        "STATE",
        "SLOTS",
        "WAIT",
        "OUT/S",
        "IN/S",
        "MEMORY",
        "RESTARTS",
        wide("LAST EXIT"),
    ]);
    for worker in view.workers() {
        let speed = view.speed(worker);
        let figure = |number: f64| if worker.slots_total > 0 { format!("{number:.1}") } else { dash("") };
        let slots = format!("{}/{}", worker.slots_busy, worker.slots_total);
        table.row([
            worker.id.clone(),
            dash(&cut(&worker.model, name)),
            state(worker),
            if worker.slots_total > 0 { slots } else { dash("") },
            worker.waiting.to_string(),
            figure(speed.completion),
            figure(speed.prompt),
            size(worker.rss_bytes),
            worker.restarts.to_string(),
            if is_wide { dash(&plain(&worker.last_exit)) } else { String::new() },
        ]);
    }
    table.to_string()
}

fn state(worker: &WorkerStatus) -> String {
    if worker.role.is_empty() { worker.state.clone() } else { format!("{}, {}", worker.state, worker.role) }
}

/// More about the chosen worker.
fn chosen(view: &View) -> String {
    let workers = view.workers();
    let Some(worker) = workers.get(view.chosen) else { return "no workers".into() };
    let mut words = vec![worker.id.clone()];
    if worker.pid != 0 {
        words.push(format!("up {}", duration(Duration::from_secs(worker.uptime_s))));
    }
    if worker.footprint_bytes > 0 {
        words.push(format!("footprint {}", size(worker.footprint_bytes)));
    }
    if worker.limit_bytes > 0 {
        words.push(format!("limit {}", size(worker.limit_bytes)));
    }
    let told = [("", &worker.detail), ("last exit ", &worker.last_exit)];
    words.extend(
        told.iter().filter(|(_, text)| !text.is_empty()).map(|(what, text)| format!("{what}{}", plain(text))),
    );
    words.join("; ")
}

fn keys(view: &View) -> String {
    format!("q ends, arrows choose, s sorts (by {})", view.sort.name())
}

/// No more than so many characters, with a sign where some are missing.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns.saturating_sub(1)).chain((columns > 0).then_some('…')).collect()
}

#[cfg(test)]
mod tests;
