//! A whole server for one test: real processes in a folder of its own, on a port that the kernel chose, stopped
//! when the test ends and then looked for: no process of it may be left.

mod control;
mod ctl;
mod generation;
mod http;
mod https;
mod python;
mod raw;
mod server;
mod setup;
mod sse;
mod terminal;
mod wait;

pub(crate) use ctl::Output;
pub(crate) use generation::Generated;
pub(crate) use http::{Answer, Http, Refusal, chat, completion};
pub(crate) use python::{fetched, python};
pub(crate) use raw::RawConnection;
pub(crate) use server::{BUNDLED, MODEL, Server, activated, command_for};
pub(crate) use setup::{Setup, bundled, bundled_model};
pub(crate) use sse::{Event, EventStream};
pub(crate) use terminal::Terminal;
pub(crate) use wait::eventually;

pub(crate) use impetus_tests::process::{
    INSTALLATION, command, install, is_alive, processes_in, program, signal, zombies_of,
};
pub(crate) use nix::sys::signal::Signal;
