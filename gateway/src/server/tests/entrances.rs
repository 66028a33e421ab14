//! Every entrance serves the same; only what is found at `/` is each one's own.

use axum::http::Method;

use super::*;

async fn at(entrance: Entrance, gateway: Gateway, request: Request<Body>) -> Answer {
    let response = answer(super::super::app(gateway, entrance), request).await.unwrap();
    let (head, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: head.status, headers: head.headers, text }
}

fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).header(HOST, "localhost").body(Body::empty()).unwrap()
}

#[tokio::test]
async fn ollamas_clients_find_at_the_root_of_their_entrance_what_they_look_for() {
    let fake = Fake::start();
    let check = async |entrance, method: Method, expected: (u16, &str)| {
        let answer = at(entrance, fake.gateway(), request(method.clone(), "/")).await;
        let told = if answer.status.is_success() { answer.text.as_str() } else { "" };
        assert_eq!((answer.status.as_u16(), told), expected, "{entrance:?} {method}");
        answer
    };
    let found = check(Entrance::Ollama, Method::GET, (200, "Ollama is running")).await;
    assert_eq!(found.headers["content-type"], "text/plain; charset=utf-8");
    check(Entrance::Ollama, Method::HEAD, (200, "")).await;
    check(Entrance::Ollama, Method::POST, (405, "")).await;
    // The dashboard is at the other one.
    let page = at(Entrance::Gateway, fake.gateway(), request(Method::GET, "/")).await;
    assert_eq!(
        (page.status.as_u16(), &page.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    check(Entrance::Gateway, Method::POST, (405, "")).await;
}

#[tokio::test]
async fn the_rest_is_the_same_at_every_entrance() {
    let fake = Fake::start();
    for entrance in Entrance::ALL {
        fake.script(completion("one two"));
        let answered = at(entrance, fake.gateway(), post(CHAT_PATH, CHAT)).await;
        assert_eq!(answered.json()["choices"][0]["message"]["content"], "one two", "{entrance:?}");
        let health = at(entrance, fake.gateway(), request(Method::GET, "/health")).await;
        assert_eq!(health.status, StatusCode::OK, "{entrance:?}");
        let strange = Request::get("/").header(HOST, "elsewhere.example").body(Body::empty()).unwrap();
        assert_eq!(at(entrance, fake.gateway(), strange).await.error(), (403, "forbidden".to_owned()));
    }
}

#[tokio::test]
async fn connections_of_all_entrances_share_the_room_for_them() {
    let fake = Fake::start();
    let gateway = GatewayConfig { max_connections: 1, ..GatewayConfig::default() };
    let gateway = Gateway::new(&Config { gateway, ..Config::default() }, &fake.socket()).unwrap();
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for entrance in Entrance::ALL {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap());
        listeners.push((entrance, listener));
    }
    let (course, followed) = watch::channel(Course::Serve);
    let server = tokio::spawn(serve(listeners, gateway, followed));
    let asked = async |address: SocketAddr| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        stream
    };
    let told = async |stream: &mut TcpStream| {
        let mut head = [0; 15];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
    };
    let mut first = asked(addresses[0]).await;
    told(&mut first).await;
    let mut second = asked(addresses[1]).await;
    let waiting = tokio::time::timeout(Duration::from_millis(100), second.peek(&mut [0])).await;
    assert!(waiting.is_err(), "it waits for room");
    drop(first);
    told(&mut second).await;
    drop(second);
    course.send_replace(Course::Stop);
    server.await.unwrap();
}
