//! What stands before the brokers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Listed, Manner};
use crate::bus::kafka::tunnel::scram::Hash;
use crate::bus::kafka::tunnel::sign_in::{read_small, write};
use crate::bus::kafka::tunnel::wire::{self, Call, Reader, malformed};
use crate::bus::kafka::tunnel::{Stream, down, up};

const SALT: &[u8] = b"sixteen bytes, ok";
const ROUNDS: u32 = 4_096;

pub struct House {
    manner: Manner,
    tls: TlsAcceptor,
    /// Ports of the listeners by the broker behind.
    places: Mutex<BTreeMap<(String, u16), u16>>,
    users: Mutex<HashMap<String, String>>,
    pub signed_in: AtomicU64,
    pub refused: AtomicU64,
    pub trespassed: AtomicBool,
    pub lists: Mutex<BTreeSet<Listed>>,
}

impl House {
    pub fn new(manner: Manner, tls: TlsAcceptor) -> Self {
        Self {
            manner,
            tls,
            places: Mutex::default(),
            users: Mutex::default(),
            signed_in: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            trespassed: AtomicBool::new(false),
            lists: Mutex::default(),
        }
    }

    pub fn let_in(&self, user: &str, password: &str) {
        let mut users = self.users.lock();
        users.insert(user.to_owned(), password.to_owned());
    }

    /// Where a broker is found from outside; a listener is made when it is named first.
    pub fn place(self: &Arc<Self>, host: &str, port: u16) -> io::Result<(String, u16)> {
        let mut places = self.places.lock();
        let behind = (host.to_owned(), port);
        if let Some(outside) = places.get(&behind) {
            return Ok((Ipv4Addr::LOCALHOST.to_string(), *outside));
        }
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let outside = listener.local_addr()?.port();
        places.insert(behind.clone(), outside);
        let (house, listener) = (Arc::clone(self), TcpListener::from_std(listener)?);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (house, behind) = (Arc::clone(&house), behind.clone());
                tokio::spawn(async move { drop(house.serve(socket, behind).await) });
            }
        });
        Ok((Ipv4Addr::LOCALHOST.to_string(), outside))
    }

    fn moved(self: &Arc<Self>, host: &str, port: i32) -> io::Result<(String, i32)> {
        let place = self.place(host, u16::try_from(port).map_err(|_| malformed("a port"))?)?;
        Ok((place.0, i32::from(place.1)))
    }

    async fn serve(self: Arc<Self>, socket: TcpStream, behind: (String, u16)) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let mut stream: Box<dyn Stream> = Box::new(self.tls.accept(socket).await?);
        let mut broker = TcpStream::connect(behind).await?;
        broker.set_nodelay(true)?;
        if !self.let_one_in(&mut stream, &mut broker).await? {
            return Ok(());
        }
        if self.manner.keeps_lists {
            return self.listing(&mut stream, &mut broker).await;
        }
        let (from_client, to_client) = tokio::io::split(stream);
        let (from_broker, to_broker) = broker.into_split();
        let calls = Mutex::default();
        let mut outside = |host: &str, port: i32| self.moved(host, port);
        tokio::select! {
            ended = up(from_client, to_broker, &calls) => ended,
            ended = down(from_broker, to_client, &calls, &mut outside) => ended,
        }
    }

    /// False: somebody called without having signed in.
    async fn let_one_in(
        &self,
        stream: &mut Box<dyn Stream>,
        broker: &mut TcpStream,
    ) -> io::Result<bool> {
        let mut scram = Scram::default();
        while !scram.is_done {
            let message = read_small(stream).await?;
            let call = Call::read(&message)?;
            let mut reader = Reader(&message[wire::CALL_BYTES..]);
            reader.text()?;
            let mut answer = call.correlation.to_be_bytes().to_vec();
            match call.key {
                wire::API_VERSIONS => answer.extend(self.offers(call, broker).await?),
                wire::SASL_HANDSHAKE => {
                    let known = reader.text()? == Some("SCRAM-SHA-512");
                    answer.extend(if known { 0_i16 } else { 33 }.to_be_bytes());
                    answer.extend(1_i32.to_be_bytes());
                    wire::put_text(&mut answer, "SCRAM-SHA-512");
                }
                wire::SASL_AUTHENTICATE => {
                    let word = std::str::from_utf8(reader.bytes()?);
                    let word = word.map_err(|_| malformed("a text"))?;
                    let said = scram.answer(word, &self.users.lock(), self.manner.is_impostor);
                    if said.is_none() {
                        self.refused.fetch_add(1, Ordering::SeqCst);
                    }
                    answer.extend(if said.is_some() { 0_i16 } else { 58 }.to_be_bytes());
                    answer.extend((-1_i16).to_be_bytes());
                    wire::put_bytes(&mut answer, said.unwrap_or_default().as_bytes());
                    if call.version >= 1 {
                        answer.extend(self.manner.lives.to_be_bytes());
                    }
                }
                _ => {
                    self.trespassed.store(true, Ordering::SeqCst);
                    return Ok(false);
                }
            }
            write(stream, &answer).await?;
        }
        if !self.manner.is_impostor {
            self.signed_in.fetch_add(1, Ordering::SeqCst);
        }
        Ok(true)
    }

    /// What the brokers behind offer, and the lists.
    async fn offers(&self, call: Call, broker: &mut TcpStream) -> io::Result<Vec<u8>> {
        let plain = Call { version: 0, ..call };
        write(broker, &plain.write(&[])).await?;
        let answer = read_small(broker).await?;
        let mut reader = Reader(&answer);
        let (_, _, count) = (reader.i32()?, reader.i16()?, reader.i32()?);
        let mut offers = Vec::new();
        for _ in 0..count {
            offers.push([reader.i16()?, reader.i16()?, reader.i16()?]);
        }
        if self.manner.keeps_lists {
            offers.extend([[wire::DESCRIBE_ACLS, 0, 1], [wire::CREATE_ACLS, 0, 1]]);
        }
        let mut out = 0_i16.to_be_bytes().to_vec();
        let is_tagged = call.version >= 3;
        let count = u8::try_from(offers.len()).map_err(|_| malformed("too many offers"))?;
        match is_tagged {
            true if count < 127 => out.push(count + 1),
            true => return Err(malformed("too many offers")),
            false => out.extend(i32::from(count).to_be_bytes()),
        }
        for offer in offers {
            out.extend(offer.into_iter().flat_map(i16::to_be_bytes));
            out.extend(is_tagged.then_some(0));
        }
        if call.version >= 1 {
            out.extend(0_i32.to_be_bytes());
        }
        out.extend(is_tagged.then_some(0));
        call.change(&out, &mut |_, _| Err(malformed("a broker among versions")))
    }

    /// One call after the other: those about lists are answered here.
    async fn listing(
        self: &Arc<Self>,
        stream: &mut Box<dyn Stream>,
        broker: &mut TcpStream,
    ) -> io::Result<()> {
        let mut outside = |host: &str, port: i32| self.moved(host, port);
        loop {
            let message = read_small(stream).await?;
            let call = Call::read(&message)?;
            let mut reader = Reader(&message[wire::CALL_BYTES..]);
            reader.text()?;
            let answer = match call.key {
                wire::API_VERSIONS => self.offers(call, broker).await?,
                wire::DESCRIBE_ACLS => self.describe(&mut reader)?,
                wire::CREATE_ACLS => self.create(&mut reader)?,
                _ => {
                    write(broker, &message).await?;
                    let answer = read_small(broker).await?;
                    let mut answer = call.change(&answer[4..], &mut outside)?;
                    if call.key == wire::METADATA && call.version >= 1 {
                        name_controller(&mut answer, call.version)?;
                    }
                    answer
                }
            };
            write(
                stream,
                &[&call.correlation.to_be_bytes(), &*answer].concat(),
            )
            .await?;
        }
    }

    /// `DescribeAcls`, version 1.
    fn describe(&self, reader: &mut Reader<'_>) -> io::Result<Vec<u8>> {
        let resource = reader.i8()?;
        let name = reader.text()?.map(str::to_owned);
        let pattern = reader.i8()?;
        let principal = reader.text()?.map(str::to_owned);
        let host = reader.text()?.map(str::to_owned);
        let (operation, permission) = (reader.i8()?, reader.i8()?);
        // 1 stands for any, as an absent text does.
        let number = |filter: i8, value: i8| filter == 1 || filter == value;
        let text = |filter: &Option<String>, value: &String| {
            filter.as_ref().is_none_or(|filter| filter == value)
        };
        let lists = self.lists.lock();
        let found = lists.iter().filter(|listed| {
            number(resource, listed.resource)
                && text(&name, &listed.name)
                && number(pattern, listed.pattern)
                && text(&principal, &listed.principal)
                && text(&host, &listed.host)
                && number(operation, listed.operation)
                && number(permission, listed.permission)
        });
        let found: Vec<&Listed> = found.collect();
        let mut out = 0_i32.to_be_bytes().to_vec();
        out.extend(0_i16.to_be_bytes());
        out.extend((-1_i16).to_be_bytes());
        out.extend(i32::try_from(found.len()).expect("few").to_be_bytes());
        for listed in found {
            out.push(listed.resource.cast_unsigned());
            wire::put_text(&mut out, &listed.name);
            out.push(listed.pattern.cast_unsigned());
            out.extend(1_i32.to_be_bytes());
            wire::put_text(&mut out, &listed.principal);
            wire::put_text(&mut out, &listed.host);
            out.extend([listed.operation, listed.permission].map(i8::cast_unsigned));
        }
        Ok(out)
    }

    /// `CreateAcls`, version 1.
    fn create(&self, reader: &mut Reader<'_>) -> io::Result<Vec<u8>> {
        let count = reader.i32()?;
        let mut out = 0_i32.to_be_bytes().to_vec();
        out.extend(count.to_be_bytes());
        for _ in 0..count {
            let resource = reader.i8()?;
            let name = reader.text()?.unwrap_or_default().to_owned();
            let pattern = reader.i8()?;
            let principal = reader.text()?.unwrap_or_default().to_owned();
            let host = reader.text()?.unwrap_or_default().to_owned();
            let (operation, permission) = (reader.i8()?, reader.i8()?);
            self.lists.lock().insert(Listed {
                resource,
                name,
                pattern,
                principal,
                host,
                operation,
                permission,
            });
            out.extend(0_i16.to_be_bytes());
            out.extend((-1_i16).to_be_bytes());
        }
        match reader.0 {
            [] => Ok(out),
            _ => Err(malformed("something after its end")),
        }
    }
}

/// The first broker changes things for all; librdkafka's cluster names none that there is.
fn name_controller(answer: &mut [u8], version: i16) -> io::Result<()> {
    let length = answer.len();
    let mut reader = Reader(answer);
    if version >= 3 {
        reader.i32()?;
    }
    let mut first = None;
    for _ in 0..reader.i32()? {
        let number = reader.i32()?;
        first = first.or(Some(number));
        reader.text()?;
        reader.i32()?;
        reader.text()?;
    }
    if version >= 2 {
        reader.text()?;
    }
    let at = length - reader.0.len();
    let place = answer.get_mut(at..at + 4);
    let (place, first) = place.zip(first).ok_or_else(|| malformed("no broker"))?;
    place.copy_from_slice(&first.to_be_bytes());
    Ok(())
}

/// The broker's side of RFC 5802.
#[derive(Default)]
struct Scram {
    begun: Option<Begun>,
    is_done: bool,
}

struct Begun {
    password: String,
    bare: String,
    challenge: String,
}

impl Scram {
    fn answer(
        &mut self,
        word: &str,
        users: &HashMap<String, String>,
        is_impostor: bool,
    ) -> Option<String> {
        let Some(begun) = &self.begun else {
            let bare = word.strip_prefix("n,,")?;
            let (user, nonce) = bare.strip_prefix("n=")?.split_once(",r=")?;
            let salt = STANDARD.encode(SALT);
            let challenge = format!("r={nonce}and more,s={salt},i={ROUNDS}");
            self.begun = Some(Begun {
                password: users.get(user)?.clone(),
                bare: bare.to_owned(),
                challenge: challenge.clone(),
            });
            return Some(challenge);
        };
        let (last, proof) = word.split_once(",p=")?;
        let text = format!("{},{},{last}", begun.bare, begun.challenge);
        let salted = Hash::Sha512.salted(&begun.password, SALT, ROUNDS);
        let (key, stored) = Hash::Sha512.client_keys(&salted);
        let signature = Hash::Sha512.sign(&stored, text.as_bytes());
        let right: Vec<u8> = key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        if !is_impostor && STANDARD.decode(proof).ok()? != right {
            return None;
        }
        self.is_done = true;
        let secret = if is_impostor { b"a guess" } else { &*salted };
        let server_key = Hash::Sha512.sign(secret, b"Server Key");
        let signature = Hash::Sha512.sign(&server_key, text.as_bytes());
        Some(format!("v={}", STANDARD.encode(signature)))
    }
}
