//! `supervisorctl swap`

use std::process::ExitCode;

use impetus_proto::supervisor::{SwapReply, SwapRequest};

use super::{Server, connect::connect, failure::Failure, print};

pub(super) async fn run(server: &Server, alias: String, model: String) -> Result<ExitCode, Failure> {
    let reply = connect(server).await?.swap(SwapRequest { alias, model }).await?.into_inner();
    print(&text(&reply))?;
    Ok(ExitCode::SUCCESS)
}

fn text(reply: &SwapReply) -> String {
    let SwapReply { alias, model, former, beside } = reply;
    match former.as_str() {
        "" => format!("{alias} means {model}\n"),
        former if former == model => format!("{alias} means {model}, as before\n"),
        former if *beside => {
            format!("{alias} means {model} instead of {former}, which finishes its requests\n")
        }
        former => format!("{alias} means {model} instead of {former}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_said() {
        let check = |former: &str, beside: bool, expected: &str| {
            let reply = SwapReply { alias: "main".into(), model: "b".into(), former: former.into(), beside };
            assert_eq!(text(&reply), expected);
        };
        check("", false, "main means b\n");
        check("b", false, "main means b, as before\n");
        check("a", false, "main means b instead of a\n");
        check("a", true, "main means b instead of a, which finishes its requests\n");
    }
}
