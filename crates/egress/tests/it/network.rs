//! Names that change their mind, and connections that end elsewhere.

use crate::server::{Server, answer, read_request};
use crate::{origin, post, quick, quiet};
use callgate_egress::{
    AddressClass, Answering, Client, Destination, EgressError, EgressPolicy, Network, Sent, Settings,
};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Answers each question with the next of its answers, and remembers where it was told to connect.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<Vec<Vec<SocketAddr>>>,
    asked: Mutex<Vec<String>>,
    connected: Mutex<Vec<SocketAddr>>,
    /// Where connections really go.
    detour: Option<SocketAddr>,
}

impl Scripted {
    fn new(answers: &[&[&str]], port: u16) -> Self {
        let addresses = |hosts: &&[&str]| {
            hosts.iter().map(|host| SocketAddr::new(host.parse().unwrap(), port)).collect::<Vec<_>>()
        };
        Self { answers: Mutex::new(answers.iter().rev().map(addresses).collect()), ..Self::default() }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn connected(&self) -> Vec<String> {
        self.connected.lock().unwrap().iter().map(|address| address.ip().to_string()).collect()
    }
}

impl Network for Scripted {
    fn resolve<'a>(&'a self, name: &'a str, _: u16) -> Answering<'a, Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let next = self.answers.lock().unwrap().pop();
        Box::pin(async move { next.ok_or(io::ErrorKind::NotFound.into()) })
    }

    fn connect(&self, address: SocketAddr) -> Answering<'_, TcpStream> {
        self.connected.lock().unwrap().push(address);
        let real = self.detour.unwrap_or(address);
        Box::pin(async move {
            // nothing of a test leaves this machine
            if real.ip().is_loopback() {
                TcpStream::connect(real).await
            } else {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
        })
    }
}

fn client(network: &Arc<Scripted>, policy: EgressPolicy) -> Client {
    Client::new(policy, Settings { network: Arc::clone(network) as _, ..Settings::default() })
}

fn declared(uri: &str) -> EgressPolicy {
    EgressPolicy::default().with(Destination::declared(origin(uri)))
}

async fn failure(client: &Client, uri: &str) -> EgressError {
    quiet(client.send(post(uri), quick()).await.unwrap_err())
}

#[tokio::test]
async fn a_name_that_points_to_this_machine_the_second_time_is_never_followed_there() {
    let victim = Server::start(async |_| {}).await;
    let port = origin(&victim.uri).port();
    let uri = format!("http://rebind.example:{port}");
    let network = Arc::new(Scripted::new(&[&["93.184.215.14"], &["127.0.0.1"]], port));
    let client = client(&network, declared(&uri));
    let error = failure(&client, &uri).await;
    assert!(matches!(error, EgressError::ConnectRefused { .. }), "{error:?}");
    assert_eq!((network.asked(), network.connected()), (1, vec!["93.184.215.14".to_owned()]));
    let error = failure(&client, &uri).await;
    assert!(matches!(error, EgressError::RefusedAddress { class: AddressClass::Loopback, .. }), "{error:?}");
    assert_eq!((network.asked(), network.connected().len()), (2, 1));
    assert_eq!(victim.connections(), 0);
}

#[tokio::test]
async fn what_was_judged_is_what_is_connected_to_and_the_name_is_asked_once() {
    let server = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        answer(&mut stream, "200 OK", "ok").await;
    })
    .await;
    let port = origin(&server.uri).port();
    let uri = format!("http://crm.localhost:{port}");
    // nobody listens at the second answer
    let network = Arc::new(Scripted::new(&[&["127.0.0.1"], &["127.9.9.9"]], port));
    assert_eq!(client(&network, declared(&uri)).send(post(&uri), quick()).await.unwrap().status(), 200);
    assert_eq!((network.asked(), server.connections()), (1, 1));
}

#[tokio::test]
async fn one_bad_address_among_good_ones_refuses_them_all() {
    let network = Arc::new(Scripted::new(&[&["93.184.215.14", "10.0.0.1"]], 80));
    let error = failure(&client(&network, declared("http://two.example")), "http://two.example").await;
    assert!(matches!(error, EgressError::RefusedAddress { class: AddressClass::Private, .. }), "{error:?}");
    assert_eq!(network.connected(), Vec::<String>::new());
}

#[tokio::test]
async fn a_connection_that_ends_elsewhere_than_it_was_sent_carries_nothing() {
    let (sender, mut received) = tokio::sync::mpsc::channel(1);
    let victim = Server::start(move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.ok();
            sender.send(bytes).await.unwrap();
        }
    })
    .await;
    let detour = victim.uri.strip_prefix("http://").unwrap().parse().unwrap();
    let scripted = Scripted::new(&[&["93.184.215.14"]], 80);
    let network = Arc::new(Scripted { detour: Some(detour), ..scripted });
    let error = failure(&client(&network, declared("http://away.example")), "http://away.example").await;
    assert!(matches!(error, EgressError::RefusedAddress { class: AddressClass::Loopback, .. }), "{error:?}");
    assert_eq!(error.sent(), Sent::Unsent);
    assert_eq!(received.recv().await.unwrap(), b"", "nothing was said");
}

#[tokio::test]
async fn a_name_in_a_private_network_is_refused_with_the_setting_to_add_until_it_is_listed() {
    for (address, class) in [
        ("10.1.2.3", "private"),
        ("100.64.0.7", "behind a carrier's NAT"),
        ("fd12::3", "unique local"),
        ("169.254.7.7", "link-local"),
    ] {
        let network = Arc::new(Scripted::new(&[&[address], &[address]], 80));
        let uri = "http://crm.corp";
        let client = client(&network, declared(uri));
        let told = failure(&client, uri).await.to_string();
        assert_eq!(
            told,
            format!(
                "`http://crm.corp:80` is at {address}, which is {class}; list its network under `networks`, \
                 of the server or of `[egress]`, if this is intended"
            )
        );
        assert_eq!(network.connected(), Vec::<String>::new());
        let listed = Destination::declared(origin(uri)).within(format!("{address}/16").parse().unwrap());
        client.set_policy(EgressPolicy::default().with(listed));
        let error = failure(&client, uri).await;
        assert!(matches!(error, EgressError::ConnectRefused { .. }), "{error:?}");
        assert_eq!(network.connected(), [address]);
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_named() {
    for answers in [&[][..], &[&[][..]][..]] {
        let network = Arc::new(Scripted::new(answers, 80));
        let error = failure(&client(&network, declared("http://a.example")), "http://a.example").await;
        assert!(matches!(error, EgressError::Dns { .. }), "{error:?}");
        assert_eq!(error.sent(), Sent::Unsent);
    }
}
