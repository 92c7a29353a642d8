//! TLS of one connection, without its socket: ciphertext in, plaintext out, and the other way round.
//!
//! rustls' calls without buffers are used: a client that is idle has none then, and what is read and sent goes through
//! buffers that all connections of a shard share.

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::mem;
use std::sync::Arc;

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};
use rustls::{Error, ServerConfig};

/// Records that are gone through in one go: the smallest ones are all overhead, some 0.3 us each.
const RECORDS_MAX: usize = 1024;
/// Plaintext that is sealed in one go: more would be long for a turn.
pub(super) const SEALED_MAX: usize = 64 << 10;
/// What ciphertext has more than its plaintext: some tens of bytes for each record of 16 KiB, and what TLS itself says.
pub(super) const OVERHEAD_MAX: usize = 4 << 10;
/// The header of a record: its kind, a version, and how many bytes follow.
const HEADER_BYTES: usize = 5;
/// The kind of the record that a client begins with.
pub(super) const HANDSHAKE: u8 = 0x16;
/// Bytes of the record by which a side ends.
const GOODBYE_BYTES_MAX: usize = 64;

/// One connection's TLS.
pub(super) struct Tls {
    connection: UnbufferedServerConnection,
    /// Ciphertext that is not a whole record, or was more than one go takes.
    pub(super) kept: Vec<u8>,
    /// There may be a whole record in it.
    has_whole: bool,
    /// Plaintext that came before anything asked for it.
    ahead: Vec<u8>,
    /// Ciphertext that the socket has not taken.
    pub(super) outgoing: Vec<u8>,
    /// The client has ended its part, by TLS' word for it or without.
    pub(super) has_ended: bool,
    has_said_goodbye: bool,
}

impl Debug for Tls {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Neither keys nor what clients send.
        f.debug_struct("Tls").field("version", &self.connection.protocol_version()).finish_non_exhaustive()
    }
}

/// Where plaintext goes.
#[derive(Debug)]
pub(super) struct Plain<'a> {
    into: &'a mut [u8],
    pub(super) bytes: usize,
}

impl<'a> Plain<'a> {
    pub(super) fn new(into: &'a mut [u8]) -> Plain<'a> {
        Plain { into, bytes: 0 }
    }

    /// Takes what there is room for, and returns the rest.
    fn take<'b>(&mut self, plain: &'b [u8]) -> &'b [u8] {
        let (taken, rest) = plain.split_at(plain.len().min(self.into.len() - self.bytes));
        self.into[self.bytes..][..taken.len()].copy_from_slice(taken);
        self.bytes += taken.len();
        rest
    }
}

impl Tls {
    /// # Errors
    /// When rustls cannot serve by this configuration.
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Tls, Error> {
        Ok(Tls {
            connection: UnbufferedServerConnection::new(config)?,
            kept: Vec::new(),
            has_whole: false,
            ahead: Vec::new(),
            outgoing: Vec::new(),
            has_ended: false,
            has_said_goodbye: false,
        })
    }

    /// Goes on with the handshake by what was kept. Returns whether it is done. What is to be sent is in `outgoing`, after
    /// an error too.
    ///
    /// # Errors
    /// When the client does not speak TLS, or not as this server asks it to.
    pub(super) fn shake_hands(&mut self) -> Result<bool, Error> {
        loop {
            let mut records = mem::take(&mut self.kept);
            let used = self.open(&mut records, &mut Plain::new(&mut []))?;
            records.drain(..used);
            records.shrink_to_fit();
            self.kept = records;
            if !self.has_whole {
                return Ok(!self.connection.is_handshaking());
            }
        }
    }

    /// Whether a whole record is among what was kept: less is no progress.
    pub(super) fn has_record(&self) -> bool {
        let length = |header: &[u8]| usize::from(u16::from_be_bytes([header[3], header[4]]));
        self.kept.get(..HEADER_BYTES).is_some_and(|header| self.kept.len() >= HEADER_BYTES + length(header))
    }

    /// Opens the records that `records` begins with, the first of which was begun by what was kept. Returns how many bytes
    /// of them are done with. Plaintext that `plain` has no room for stays here.
    ///
    /// # Errors
    /// When they are none, or not the client's.
    pub(super) fn open(&mut self, records: &mut [u8], plain: &mut Plain<'_>) -> Result<usize, Error> {
        let mut used = 0;
        self.has_whole = false;
        for _ in 0..RECORDS_MAX {
            let Tls { connection, ahead, outgoing, has_ended, .. } = self;
            let UnbufferedStatus { mut discard, state } = connection.process_tls_records(&mut records[used..]);
            let is_all = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        ahead.extend_from_slice(plain.take(record.payload));
                        discard += record.discard;
                    }
                    false
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, outgoing)?;
                    false
                }
                // It is in `outgoing`, which goes before anything else.
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    false
                }
                Ok(ConnectionState::PeerClosed) => {
                    *has_ended = true;
                    false
                }
                Ok(_) => true,
                Err(error) => {
                    self.tell_why();
                    return Err(error);
                }
            };
            used += discard;
            if is_all {
                return Ok(used);
            }
        }
        self.has_whole = true;
        Ok(used)
    }

    /// Has the client get the reason for an error, as far as TLS has one.
    fn tell_why(&mut self) {
        // Without the records, so nothing else is asked for: rustls has messages that lie in them.
        while self.connection.wants_write() {
            let state = self.connection.process_tls_records(&mut []).state;
            let Ok(ConnectionState::EncodeTlsData(data)) = state else { return };
            if encode(data, &mut self.outgoing).is_err() {
                return;
            }
        }
    }

    /// Hands over to `send` when this side may send, with what goes before that.
    ///
    /// What was kept is gone through for it: rustls counts on having before it what it has not done with, and ends the
    /// process where it is not.
    fn sending<T>(
        &mut self,
        send: impl FnOnce(&[u8], WriteTraffic<'_, ServerConnectionData>) -> Result<T, EncryptError>,
    ) -> io::Result<T> {
        let mut kept = mem::take(&mut self.kept);
        let (mut used, mut before) = (0, Vec::new());
        let sent = 'records: loop {
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(&mut kept[used..]);
            match state {
                Ok(ConnectionState::WriteTraffic(traffic)) => {
                    used += discard;
                    break send(&before, traffic).map_err(io::Error::other);
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                self.ahead.extend_from_slice(record.payload);
                                discard += record.discard;
                            }
                            Err(error) => break 'records Err(io::Error::other(error)),
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    if let Err(error) = encode(data, &mut before) {
                        break Err(io::Error::other(error));
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.has_ended = true,
                Ok(_) => break Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) => break Err(io::Error::other(error)),
            }
            used += discard;
        };
        kept.drain(..used);
        self.kept = kept;
        sent
    }

    /// Seals some of `plain`, into `records`. Returns how many bytes of `plain` these are, and how many of `records`.
    ///
    /// # Errors
    /// When nothing can be sent any more: this side has ended, or its keys have sealed as much as they may.
    pub(super) fn seal(&mut self, plain: &[u8], records: &mut [u8]) -> io::Result<(usize, usize)> {
        let piece = &plain[..plain.len().min(SEALED_MAX)];
        self.sending(|before, mut traffic| {
            let room = records.get_mut(..before.len()).ok_or(EncryptError::EncryptExhausted)?;
            room.copy_from_slice(before);
            let sealed = traffic.encrypt(piece, &mut records[before.len()..])?;
            Ok((piece.len(), before.len() + sealed))
        })
    }

    /// Has the client get TLS' word for an end, once.
    pub(super) fn say_goodbye(&mut self) {
        if mem::replace(&mut self.has_said_goodbye, true) {
            return;
        }
        let mut record = [0; GOODBYE_BYTES_MAX];
        let said = self.sending(|before, mut traffic| {
            let bytes = traffic.queue_close_notify(&mut record)?;
            Ok([before, &record[..bytes]].concat())
        });
        self.outgoing.extend(said.unwrap_or_default());
    }

    /// Hands out what came before anything asked for it.
    pub(super) fn take_ahead(&mut self, into: &mut [u8]) -> usize {
        let bytes = self.ahead.len().min(into.len());
        into[..bytes].copy_from_slice(&self.ahead[..bytes]);
        match bytes == self.ahead.len() {
            true => self.ahead = Vec::new(),
            false => drop(self.ahead.drain(..bytes)),
        }
        bytes
    }

    /// Bytes of plaintext that are there.
    pub(super) fn ahead_bytes(&self) -> usize {
        self.ahead.len()
    }

    /// Whether there may be more plaintext without anything from the socket.
    pub(super) fn has_more(&self) -> bool {
        self.has_whole || !self.ahead.is_empty()
    }

    /// Whether records are opened before the socket is read again.
    pub(super) fn has_whole(&self) -> bool {
        self.has_whole
    }
}

/// Adds a record of TLS itself to `out`.
fn encode<Data>(mut data: EncodeTlsData<'_, Data>, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) = data.encode(&mut []) {
        out.resize(start + required_size, 0);
        data.encode(&mut out[start..]).map_err(|error| Error::General(error.to_string()))?;
    }
    Ok(())
}
