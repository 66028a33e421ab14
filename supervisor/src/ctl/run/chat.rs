//! A chat in the terminal.

mod told;

use std::{future::Future, pin::pin, process::ExitCode, time::Duration};

use impetus_proto::supervisor::{LoadRequest, supervisor_client::SupervisorClient};
use serde_json::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tonic::transport::Channel;

use super::{
    client::{Answer, Client},
    command::Command,
    conversation::{Conversation, Turn},
    editor::{Editor, Read},
    error::RunError,
    event::Figures,
    history::History,
    input::{Input, Typed},
    request::Wish,
    screen::Screen,
};
use crate::ctl::{
    failure::Failure,
    signals::{self, Ends, exit_code},
    terminal::Restore,
};

const PROMPT: &str = ">>> ";
const MORE_PROMPT: &str = "... ";

/// A load that takes longer is told of.
const SOON: Duration = Duration::from_secs(1);

/// What was said, and with whom.
pub(super) struct Chat {
    supervisor: SupervisorClient<Channel>,
    client: Client,
    wish: Wish,
    conversation: Conversation,
    /// A question that has no answer, for who wants to ask it again.
    unanswered: Option<String>,
    last: Option<Figures>,
    total: Figures,
    is_verbose: bool,
    screen: Screen,
    ends: Ends,
}

/// How a wait ended.
enum Waited<T> {
    Over(T),
    /// By Ctrl-C.
    Stopped,
    /// By a signal, which ends the chat.
    Ended(i32),
}

/// Whether the chat goes on.
type Goes = Result<Option<ExitCode>, Failure>;

impl Chat {
    pub(super) fn new(
        supervisor: SupervisorClient<Channel>,
        client: Client,
        wish: Wish,
        conversation: Conversation,
        is_verbose: bool,
    ) -> Result<Self, Failure> {
        Ok(Self {
            supervisor,
            client,
            wish,
            conversation,
            unanswered: None,
            last: None,
            total: Figures::default(),
            is_verbose,
            screen: Screen::of_standard_output(),
            ends: Ends::listen()?,
        })
    }

    /// Loads the model and talks until the end.
    pub(super) async fn run(mut self, history: History) -> Result<ExitCode, Failure> {
        let _restored = Restore::later();
        let model = self.wish.model.clone();
        match self.load(model).await? {
            Waited::Over(loaded) => loaded?,
            Waited::Stopped => return Ok(signals::interrupted()),
            Waited::Ended(number) => return Ok(exit_code(number)),
        }
        self.screen.note(&format!("{}; /help lists the commands, Ctrl-D ends the chat", self.wish.model))?;
        let mut editor = Editor::start(history)?;
        let mut input = Input::default();
        loop {
            let prompt = if input.is_open() { MORE_PROMPT } else { PROMPT };
            let read = tokio::select! {
                read = editor.read(prompt) => read,
                number = self.ends.recv() => return Ok(exit_code(number)),
            };
            match read {
                Read::Line(line) => {
                    let Some(typed) = input.push(&line) else { continue };
                    if typed.text.trim().is_empty() {
                        continue;
                    }
                    editor.keep(if typed.is_block {
                        format!("\"\"\"{}\"\"\"", typed.text)
                    } else {
                        typed.text.clone()
                    });
                    if let Some(code) = self.take(typed).await? {
                        return Ok(code);
                    }
                }
                Read::Interrupted if input.is_open() => input.clear(),
                Read::Interrupted => self.screen.note("Ctrl-D or /bye ends the chat")?,
                Read::End => return Ok(ExitCode::SUCCESS),
                Read::Failed(reason) => return Err(RunError::Editor(reason).into()),
            }
        }
    }

    async fn take(&mut self, typed: Typed) -> Goes {
        match Command::parse(&typed.text).filter(|_| !typed.is_block) {
            None => self.ask(typed.text).await,
            Some(Ok(Command::Bye)) => Ok(Some(ExitCode::SUCCESS)),
            Some(Ok(Command::Retry)) => match self.last_question() {
                Some(question) => self.ask(question).await,
                None => self.note("nothing was asked yet"),
            },
            Some(Ok(Command::Model(model))) => match self.load(model).await? {
                Waited::Over(Err(failure)) => self.note(&failure.to_string()),
                Waited::Over(Ok(())) | Waited::Stopped => {
                    self.note(&format!("going on with {}", self.wish.model))
                }
                Waited::Ended(number) => Ok(Some(exit_code(number))),
            },
            Some(Ok(command)) => {
                let said = self.obey(command);
                self.note(&said)
            }
            Some(Err(error)) => self.note(&error.to_string()),
        }
    }

    /// Has a model loaded and goes on with it.
    async fn load(&mut self, model: String) -> Result<Waited<Result<(), Failure>>, Failure> {
        let (supervisor, screen) = (&mut self.supervisor, &mut self.screen);
        let loading = async {
            let mut loading = pin!(supervisor.load(LoadRequest { model: model.clone() }));
            if let Ok(loaded) = timeout(SOON, &mut loading).await {
                return Ok(loaded);
            }
            screen.note(&format!("loading {model}"))?;
            Ok::<_, Failure>(loading.await)
        };
        Ok(match wait(&mut self.ends, loading).await? {
            Waited::Over(loaded) => Waited::Over(match loaded? {
                Ok(_) => {
                    self.wish.model = model;
                    Ok(())
                }
                Err(status) => Err(status.into()),
            }),
            Waited::Stopped => Waited::Stopped,
            Waited::Ended(number) => Waited::Ended(number),
        })
    }

    /// Takes the last question back.
    fn last_question(&mut self) -> Option<String> {
        self.unanswered.take().or_else(|| self.conversation.turns.pop().map(|turn| turn.question))
    }

    async fn ask(&mut self, question: String) -> Goes {
        let body: Value = self.wish.body(self.conversation.messages(&question));
        let mut answer = Answer::default();
        let asking = self.client.ask(&body, &mut answer, &mut self.screen);
        let outcome = wait(&mut self.ends, asking).await?;
        self.screen.end()?;
        self.count(answer.figures);
        let finish = answer.finish.take();
        self.keep(question, answer);
        match outcome {
            Waited::Ended(number) => Ok(Some(exit_code(number))),
            Waited::Stopped => self.note("stopped"),
            // The terminal is gone.
            Waited::Over(Err(Failure::Output(error))) => Err(Failure::Output(error)),
            Waited::Over(Err(failure)) => self.note(&format!("{failure}; /retry asks again")),
            Waited::Over(Ok(())) => {
                if finish.as_deref() == Some("length") {
                    self.screen
                        .note("it ends here for its length; /set max_tokens, or a shorter conversation")?;
                }
                match self.last.filter(|_| self.is_verbose) {
                    Some(figures) => self.note(&figures.to_string()),
                    None => Ok(None),
                }
            }
        }
    }

    /// What was said counts, also if it was not all; a question without any answer is none.
    fn keep(&mut self, question: String, answer: Answer) {
        if answer.content.is_empty() {
            self.unanswered = Some(question);
        } else {
            let Answer { content, reasoning, .. } = answer;
            self.conversation.turns.push(Turn { question, answer: content, reasoning });
            self.unanswered = None;
        }
    }

    fn count(&mut self, figures: Option<Figures>) {
        self.last = figures;
        self.total = self.total.plus(figures.unwrap_or_default());
    }

    fn note(&mut self, text: &str) -> Goes {
        if !text.is_empty() {
            self.screen.note(text)?;
        }
        Ok(None)
    }
}

/// Waits for `work` until that is over, or Ctrl-C, or the end of the chat.
async fn wait<T>(ends: &mut Ends, work: impl Future<Output = T>) -> Result<Waited<T>, Failure> {
    // A new one hears of nothing that was before.
    let mut interrupts = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        biased;
        number = ends.recv() => Waited::Ended(number),
        _ = interrupts.recv() => Waited::Stopped,
        outcome = work => Waited::Over(outcome),
    })
}
