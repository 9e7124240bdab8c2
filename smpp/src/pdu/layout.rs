//! Lives here: the macros that turn a PDU's layout, as the specification prints it, into a type that can be read
//! and written, and the list of PDUs into [`super::Pdu`].
//! Never here: a layout.

/// Declares a PDU's body: each field with the way it stands on the wire. The ways are methods of `Reader`, `Size`
/// and `Writer` and functions of `shown`, all under the same name (`octet`, `string`, `time`, `address`, …).
///
/// With `hot` in front, a well-formed body is read by `Plain`, and only another one by `Reader`.
macro_rules! layout {
    (
        hot
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $kind:ident($($arg:expr),*);)*
        }
    ) => {
        $crate::pdu::layout::layout! {
            $(#[$doc])*
            $name {
                $($(#[$field_doc])* $field: $type = $kind($($arg),*);)*
            }
        }

        impl $name {
            #[inline(always)]
            pub(super) fn read_plain(plain: &mut $crate::pdu::wire::Plain<'_>) -> Option<$crate::pdu::Decoded> {
                Some($crate::pdu::Decoded {
                    pdu: $crate::pdu::Pdu::$name(Self { $($field: plain.$kind($(&$arg),*)?,)* }),
                    violations: $crate::pdu::Violations::new(),
                })
            }
        }
    };
    (
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $kind:ident($($arg:expr),*);)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            #[inline]
            pub(super) fn read(
                reader: &mut $crate::pdu::wire::Reader<'_>,
            ) -> Result<Self, $crate::pdu::fault::DecodeReason> {
                // Built in place: collecting the fields first would copy each of them once more.
                let pdu = Self { $($field: reader.$kind($(&$arg),*)?,)* };
                reader.end();
                Ok(pdu)
            }

            #[inline]
            pub(super) fn len(&self) -> Result<usize, $crate::pdu::fault::EncodeError> {
                let mut size = $crate::pdu::wire::Size::default();
                $(size.$kind(&self.$field $(, &$arg)*)?;)*
                Ok(size.octets())
            }

            #[inline]
            pub(super) fn write(&self, writer: &mut $crate::pdu::wire::Writer<'_>) {
                $(writer.$kind(&self.$field);)*
            }
        }

        /// Shows a message as its length, and never a password: what is printed may end in a log.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($field), &$crate::pdu::wire::shown::$kind(&self.$field)))*
                    .finish()
            }
        }
    };
}

/// Declares [`super::Pdu`]: `hot` PDUs are sent for each message and read inline, `rare` ones are not, `bare` ones
/// are only a header. Binds, whose three commands share a type, and unknown commands are the exceptions.
macro_rules! pdus {
    (
        hot { $($hot:ident = $hot_id:ident, $hot_doc:literal;)* }
        rare { $($rare:ident = $rare_id:ident, $rare_doc:literal;)* }
        bare { $($bare:ident = $bare_id:ident, $bare_doc:literal;)* }
    ) => {
        /// One PDU without its header's status and sequence. `Debug` shows no message and no password.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Pdu {
            /// A bind request of any kind.
            Bind(Bind),
            /// A bind response of any kind.
            BindResp(BindResp),
            $(#[doc = $hot_doc] $hot($hot),)*
            $(#[doc = $rare_doc] $rare($rare),)*
            $(#[doc = $bare_doc] $bare,)*
            /// Any other command, with its body unread: a vendor's, or one of a later version.
            Unknown {
                /// Its `command_id`.
                command: CommandId,
                /// Its body: a slice of the frame.
                body: Bytes,
            },
        }

        impl Pdu {
            /// The `command_id` this PDU is sent with.
            #[must_use]
            pub const fn command(&self) -> CommandId {
                match self {
                    Self::Bind(bind) => bind.kind.command(),
                    Self::BindResp(resp) => resp.kind.command().response(),
                    $(Self::$hot(_) => CommandId::$hot_id,)*
                    $(Self::$rare(_) => CommandId::$rare_id,)*
                    $(Self::$bare => CommandId::$bare_id,)*
                    Self::Unknown { command, .. } => *command,
                }
            }

            /// Reads a frame's body leniently: whatever can be understood is, and what was wrong is listed.
            ///
            /// Messages, TLV values and strings of more than 23 octets are slices of the frame; nothing is copied
            /// to the heap, save the destinations of a `submit_multi`, the failures in its response, and TLVs
            /// beyond the second.
            ///
            /// # Errors
            /// [`DecodeError`] when a mandatory field in the middle of a request is missing, with the header and
            /// the raw body to answer with and to keep. Responses always decode.
            #[inline]
            pub fn decode(frame: Frame<'_>) -> Result<Decoded, DecodeError> {
                let header = frame.header;
                let frame = match header.command {
                    $(CommandId::$hot_id if header.status.is_ok() || header.command.is_response() => {
                        let mut plain = Plain::new(frame);
                        if let Some(decoded) = $hot::read_plain(&mut plain) {
                            return Ok(decoded);
                        }
                        plain.into_frame()
                    })*
                    _ => frame,
                };
                Self::decode_lenient(header, frame.into_body())
            }

            /// What is not sent for each message, or not well-formed.
            #[inline(never)]
            fn decode_lenient(header: Header, body: Bytes) -> Result<Decoded, DecodeError> {
                let mut reader = Reader::new(&header, &body);
                match Self::read(&header, &body, &mut reader) {
                    Ok(pdu) => Ok(Decoded { pdu, violations: reader.violations }),
                    Err(reason) => Err(DecodeError::new(header, body, reason)),
                }
            }

            fn read(header: &Header, body: &Bytes, reader: &mut Reader<'_>) -> Result<Self, DecodeReason> {
                Ok(match header.command {
                    $(CommandId::$hot_id => Self::$hot($hot::read(reader)?),)*
                    $(CommandId::$rare_id => Self::$rare($rare::read(reader)?),)*
                    $(CommandId::$bare_id => {
                        reader.end();
                        Self::$bare
                    })*
                    command => match BindKind::of(command) {
                        Some(kind) if command.is_response() => Self::BindResp(BindResp::read(kind, reader)?),
                        Some(kind) => Self::Bind(Bind::read(kind, reader)?),
                        None => Self::Unknown { command, body: body.clone() },
                    },
                })
            }

            /// Appends the PDU with its header to `out`.
            ///
            /// Enforces the limits of version 5.0; [`Pdu::fits`] narrows them to an older one.
            ///
            /// # Errors
            /// [`EncodeError`] for what the specification forbids; `out` is then as it was.
            #[inline]
            pub fn encode(
                &self,
                status: CommandStatus,
                sequence: u32,
                out: &mut BytesMut,
            ) -> Result<(), EncodeError> {
                if !status.is_ok() && self.is_bodiless() {
                    return Header::of(self.command(), status, sequence).put(0, |_| {}, out);
                }
                match self {
                    $(Self::$hot(body) => Header::of(CommandId::$hot_id, status, sequence).put(
                        body.len()?,
                        |writer| body.write(writer),
                        out,
                    ),)*
                    _ => self.encode_rare(status, sequence, out),
                }
            }

            #[inline(never)]
            fn encode_rare(
                &self,
                status: CommandStatus,
                sequence: u32,
                out: &mut BytesMut,
            ) -> Result<(), EncodeError> {
                let len = match self {
                    Self::Bind(bind) => bind.len(),
                    Self::BindResp(resp) => resp.len(),
                    $(Self::$hot(body) => body.len(),)*
                    $(Self::$rare(body) => body.len(),)*
                    $(Self::$bare => Ok(0),)*
                    Self::Unknown { body, .. } => Ok(body.len()),
                };
                let write = |writer: &mut Writer<'_>| match self {
                    Self::Bind(bind) => bind.write(writer),
                    Self::BindResp(resp) => resp.write(writer),
                    $(Self::$hot(body) => body.write(writer),)*
                    $(Self::$rare(body) => body.write(writer),)*
                    $(Self::$bare => {})*
                    Self::Unknown { body, .. } => writer.octets(body),
                };
                Header::of(self.command(), status, sequence).put(len?, write, out)
            }
        }
    };
}

pub(super) use {layout, pdus};
