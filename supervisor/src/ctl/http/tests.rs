use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, duplex};

use super::*;

/// What a reader makes of `bytes` that arrive in pieces of `piece` bytes: the status, the lines, and whether the
/// connection can be used again.
async fn read(bytes: &[u8], piece: usize) -> Result<(u16, Vec<String>, bool), HttpError> {
    let (mut sender, receiver) = duplex(piece);
    let bytes = bytes.to_vec();
    let sending = tokio::spawn(async move {
        for piece in bytes.chunks(piece) {
            if sender.write_all(piece).await.is_err() {
                break;
            }
        }
    });
    let mut reader = BufReader::new(receiver);
    let mut answer = Answer::read(&mut reader).await?;
    let (mut line, mut lines) = (Vec::new(), Vec::new());
    while answer.line(&mut line).await? {
        lines.push(String::from_utf8(line.clone()).unwrap());
    }
    let outcome = (answer.status, lines, answer.is_reusable());
    drop(reader);
    sending.await.unwrap();
    Ok(outcome)
}

#[tokio::test]
async fn bodies_are_the_same_however_they_are_cut() {
    let check = async |bytes: &str, status: u16, lines: &[&str], is_reusable: bool| {
        for piece in [1, 2, 3, 7, 64, 4096] {
            let (got, got_lines, reusable) = read(bytes.as_bytes(), piece).await.unwrap();
            assert_eq!((got, reusable), (status, is_reusable), "{bytes:?} by {piece}");
            assert_eq!(got_lines, lines, "{bytes:?} by {piece}");
        }
    };
    // Chunks that end within lines, an extension, a trailer.
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\ndata:\r\n3;x=y\r\n a\n\r\n4\r\n\ndat\r\n6\r\na: b\n\n\r\n0\r\nx: y\r\n\r\n";
    check(chunked, 200, &["data: a", "", "data: b", ""], true).await;
    check("HTTP/1.1 404 No\r\ncontent-length: 4\r\n\r\na\r\nb", 404, &["a", "b"], true).await;
    check("HTTP/1.1 200 OK\r\n\r\nuntil\nit closes", 200, &["until", "it closes"], false).await;
    check("HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 1\r\n\r\nx", 200, &["x"], false).await;
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 Nothing\r\n\r\n", 204, &[], true).await;
}

#[tokio::test]
async fn what_is_no_whole_answer_is_refused() {
    let check = async |bytes: &str, expected: &str| {
        let error = read(bytes.as_bytes(), 16).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{bytes:?}: {error}");
    };
    check("", "closed before the answer began").await;
    check("SSH-2.0-x\r\n", "not HTTP/1.1").await;
    check("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "not HTTP/1.1").await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", "ended early").await;
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", "ended early").await;
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nlarge\r\n", "not HTTP/1.1").await;
    check("HTTP/1.1 200 OK\r\nx: y", "ended early").await;
    check(&format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(HEAD_BYTES)), "longer than").await;
}

#[tokio::test]
async fn what_is_left_is_kept_up_to_a_limit() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\none\ntwo\nx";
    let mut reader = bytes.as_slice();
    let mut answer = Answer::read(&mut reader).await.unwrap();
    let mut line = Vec::new();
    assert!(answer.line(&mut line).await.unwrap());
    assert_eq!((answer.rest(2).await.unwrap(), answer.is_reusable()), (b"tw".to_vec(), true));
}

#[tokio::test]
async fn a_request_says_who_asks_and_how_much_it_is() {
    let (mut ours, mut theirs) = duplex(4096);
    post(&mut ours, ["localhost:1", "/v1/completions"], Some("sk-1"), "{}").await.unwrap();
    drop(ours);
    let mut sent = String::new();
    theirs.read_to_string(&mut sent).await.unwrap();
    let expected = "POST /v1/completions HTTP/1.1\r\nhost: localhost:1\r\ncontent-type: application/json\r\n\
                    accept: */*\r\nauthorization: Bearer sk-1\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(sent, expected);
}
