//! An engine without everything that a worker puts around it, measured: what `make bench` compares with.
//!
//! A program that calls [`run`] is used as `PROGRAM MODEL SLOTS CONTEXT_TOKENS THREADS [OPTION=VALUE...]`. It loads
//! the model and then answers each line `STREAMS PROMPT_TOKENS COMPLETION_TOKENS SEED` on its standard input with one
//! line of JSON: the time of each stream's prompt, that of all decode steps together, and the tokens. Every token is
//! the most probable one.

use std::{
    io::{BufRead, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{Backend, Batch, ModelSpec, Progress, Rows, SlotId, StepError, TextEngine, TokenId, Want};

/// Anything that may go wrong; it ends the program.
pub type Failure = Box<dyn std::error::Error>;

/// One line of the input.
struct Task {
    streams: u32,
    prompt_tokens: u32,
    completion_tokens: u32,
    seed: u32,
}

struct Bench {
    engine: Box<dyn TextEngine>,
    batch: Batch,
    rows: Rows,
}

/// What one run took, and what it said.
struct Measured {
    prefill_us: Vec<u128>,
    decode: Duration,
    /// The completion of the first stream.
    tokens: Vec<u32>,
}

/// The whole of such a program's `main`.
pub fn run<B: Backend>() -> Result<(), Failure> {
    let usage = "usage: MODEL SLOTS CONTEXT_TOKENS THREADS [OPTION=VALUE...]";
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, slots, context_tokens, threads, options @ ..] = args.as_slice() else {
        return Err(usage.into());
    };
    let option =
        |pair: &String| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let threads = threads.parse()?;
    let spec = ModelSpec {
        path: PathBuf::from(model),
        root: PathBuf::from("/"),
        slots: slots.parse()?,
        context_tokens: context_tokens.parse()?,
        threads,
        options: options.iter().map(option).collect::<Option<_>>().ok_or(usage)?,
    };
    let model = B::start(threads)?.load(&spec, &Progress::new(|_| {}))?;
    let engine = model.task.into_generate().ok_or("the model does not generate")?;
    let rows = Rows::new(engine.limits().vocabulary);
    let mut bench = Bench { engine, batch: Batch::default(), rows };
    let mut output = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let task = Task::parse(&line?)?;
        let Measured { prefill_us, decode, tokens } = bench.run(&task)?;
        let (decode_us, steps) = (decode.as_micros(), task.completion_tokens.saturating_sub(1));
        writeln!(
            output,
            r#"{{"prefill_us":{prefill_us:?},"decode_us":{decode_us},"decode_steps":{steps},"tokens":{tokens:?}}}"#
        )?;
    }
    Ok(())
}

impl Task {
    fn parse(line: &str) -> Result<Self, Failure> {
        let numbers = line.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?;
        let &[streams, prompt_tokens, completion_tokens, seed] = numbers.as_slice() else {
            return Err(format!("`{line}` is not STREAMS PROMPT_TOKENS COMPLETION_TOKENS SEED").into());
        };
        Ok(Self { streams, prompt_tokens, completion_tokens, seed })
    }

    /// Tokens that differ from stream to stream; which ones they are costs the engine nothing.
    fn prompt(&self, stream: u32, vocabulary: u32) -> Vec<TokenId> {
        let first = self.seed.wrapping_mul(131).wrapping_add(stream.wrapping_mul(31));
        (0..self.prompt_tokens).map(|n| TokenId(first.wrapping_add(n * 7) % vocabulary)).collect()
    }
}

impl Bench {
    /// Prompts one after the other, then the streams' tokens side by side; the first token comes of the prompt.
    fn run(&mut self, task: &Task) -> Result<Measured, StepError> {
        let limits = self.engine.limits();
        let mut prefill_us = Vec::new();
        let mut last = Vec::new();
        for stream in 0..task.streams {
            let prompt = task.prompt(stream, limits.vocabulary);
            let begun = Instant::now();
            let mut position = 0;
            for part in prompt.chunks(limits.tokens_per_step as usize) {
                self.batch.clear();
                self.batch.push(SlotId(stream), position, part, Want::Last);
                self.step()?;
                position += part.len() as u32;
            }
            last.push(self.most_probable(0));
            prefill_us.push(begun.elapsed().as_micros());
        }
        let mut tokens = vec![last[0].0];
        let decode = self.decode(task, &mut last, &mut tokens)?;
        for stream in 0..task.streams {
            self.engine.kv_clear(SlotId(stream));
        }
        Ok(Measured { prefill_us, decode, tokens })
    }

    fn decode(
        &mut self,
        task: &Task,
        last: &mut [TokenId],
        tokens: &mut Vec<u32>,
    ) -> Result<Duration, StepError> {
        let begun = Instant::now();
        for step in 1..task.completion_tokens {
            self.batch.clear();
            for (stream, token) in last.iter().enumerate() {
                let position = task.prompt_tokens + step - 1;
                self.batch.push(SlotId(stream as u32), position, &[*token], Want::Last);
            }
            self.step()?;
            for (stream, token) in last.iter_mut().enumerate() {
                *token = self.most_probable(stream);
            }
            tokens.push(last[0].0);
        }
        Ok(begun.elapsed())
    }

    fn step(&mut self) -> Result<(), StepError> {
        self.rows.clear();
        self.engine.step(&self.batch, &mut self.rows)
    }

    fn most_probable(&self, row: usize) -> TokenId {
        let mut best = (f32::NEG_INFINITY, 0);
        for (token, &logit) in self.rows.row(row).iter().enumerate() {
            if logit > best.0 {
                best = (logit, token as u32);
            }
        }
        TokenId(best.1)
    }
}
