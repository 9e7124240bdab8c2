//! Lives here: requests that name themselves (`Idempotency-Key`): carried out once, and answered the
//! same however often they are repeated; a repetition of one that still runs waits for it.
//! Never here: keeping answers (`store::memo`), what a request does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};
use tokio::time::{timeout, timeout_at};

use super::call::Visit;
use super::code::Code;
use super::error::{ApiError, Problem};
use super::{json, time};
use crate::store::memo::{Memo, MemoKey, Repeat};

/// The header.
pub(super) const NAME: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Characters of a name.
const NAME_MAX: usize = 255;
/// How long a repetition waits for what still runs.
const WAIT: Duration = Duration::from_secs(2);
/// Named requests that run or wait at once: a megabyte or two. Further ones are told 503.
const RUNNING_MAX: usize = 16_384;

/// A request that names itself.
pub(super) struct Once {
    key: MemoKey,
    fingerprint: [u8; 32],
}

impl Once {
    /// The request's, if it names itself.
    ///
    /// # Errors
    /// `invalid_request`: its name is none.
    fn of(visit: &Visit, body: &[u8]) -> Result<Option<Self>, ApiError> {
        if !visit.is_named() {
            return Ok(None);
        }
        let Some(name) = name(&visit.head.headers)? else {
            return Ok(None);
        };
        let caller = &visit.caller;
        let method: &Method = &visit.head.method;
        let path = visit.head.uri.path_and_query();
        let mut hash = Sha256::new();
        hash.update(caller.org.id.0.as_bytes());
        hash.update([u8::from(caller.is_live())]);
        // None of the two can have a space.
        hash.update(method.as_str());
        hash.update(b" ");
        hash.update(path.map_or("", |path| path.as_str()));
        hash.update(b" ");
        hash.update(name);
        Ok(Some(Self {
            key: hash.finalize().into(),
            fingerprint: Sha256::digest(body).into(),
        }))
    }

    /// An answer, to be kept with what it answers for.
    pub(super) fn memo(&self, status: StatusCode, body: Bytes) -> Arc<Memo> {
        Arc::new(Memo {
            key: self.key,
            fingerprint: self.fingerprint,
            status: status.as_u16(),
            body,
            at: time::now(),
        })
    }
}

/// The answer to a request that one of its name was before.
///
/// # Errors
/// `idempotency_key_reused`.
pub(super) fn repeated(repeat: Repeat) -> Result<Response, ApiError> {
    let memo = match repeat {
        Repeat::Replay(memo) => memo,
        Repeat::Reused => {
            let message =
                "this Idempotency-Key was used for another body; give each request its own";
            return Err(ApiError::new(Code::IdempotencyKeyReused, message));
        }
    };
    if memo.body.is_empty() {
        let message = "this request was carried out, and is not again; its answer held a number \
                       that has been erased since";
        return Err(ApiError::new(Code::Conflict, message));
    }
    let status = StatusCode::from_u16(memo.status).unwrap_or(StatusCode::OK);
    let mut response = json::answer(status, memo.body.clone());
    let headers = response.headers_mut();
    if !memo.body.starts_with(ApiError::ENVELOPE) && status.is_client_error() {
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Carries out what a request asks for: once, if it names itself. `work` is to keep
/// [`Once::memo`] with what it does, and to answer [`repeated`] if the store says so.
///
/// # Errors
/// Those of `work`; `invalid_request`, `idempotency_in_progress`, `idempotency_key_reused`.
pub(super) async fn once<F>(
    visit: &Visit,
    body: &[u8],
    refusals: Refusals,
    work: impl FnOnce(Option<Arc<Once>>) -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<Response, ApiError>>,
{
    match Once::of(visit, body)? {
        None => work(None).await,
        // Boxed: most requests do not name themselves, and need not have room for this.
        Some(once) => Box::pin(named(visit, once, refusals, work)).await,
    }
}

async fn named<F>(
    visit: &Visit,
    once: Once,
    refusals: Refusals,
    work: impl FnOnce(Option<Arc<Once>>) -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<Response, ApiError>>,
{
    let _turn = visit.api.running.turn(once.key).await?;
    let once = Arc::new(once);
    let error = match work(Some(Arc::clone(&once))).await {
        Ok(response) => return Ok(response),
        Err(error) => error,
    };
    // What was answered first holds, though it would be refused now.
    let store = &visit.api.store;
    let known = if refusals == Refusals::Kept && is_kept(error.code) {
        let rendered = visit.rendered(&error);
        let memo = once.memo(error.code.status(), rendered.into());
        timeout_at(visit.deadline, store.keep_answer(memo)).await
    } else if error.code.status().is_client_error() {
        timeout_at(visit.deadline, store.answered(&once.key, &once.fingerprint)).await
    } else {
        return Err(error);
    };
    match known {
        Ok(Ok(Some(repeat))) => repeated(repeat),
        // It could not be kept, or looked up: nothing was done, and the next try will find out.
        Ok(Ok(None) | Err(_)) | Err(_) => Err(error),
    }
}

/// What becomes of a refusal of a request that names itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusals {
    /// Its repetition is refused alike, if it would be whatever happens meanwhile.
    Kept,
    /// Its repetition is tried anew: more than its body decides.
    Forgotten,
}

/// Whether the same request would be refused again whatever happens meanwhile.
const fn is_kept(code: Code) -> bool {
    matches!(
        code.status(),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
    ) && !matches!(code, Code::IdempotencyKeyReused)
}

/// The name that the headers give, without the quotes of a structured field's string.
fn name(headers: &HeaderMap) -> Result<Option<&[u8]>, ApiError> {
    let mut given = headers.get_all(NAME).into_iter();
    let Some(value) = given.next() else {
        return Ok(None);
    };
    let bare = value.as_bytes().trim_ascii();
    let quoted = bare.strip_prefix(b"\"");
    let name = quoted.map_or(Some(bare), |rest| rest.strip_suffix(b"\""));
    let fits = |name: &&[u8]| {
        (1..=NAME_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
    };
    match name.filter(fits) {
        Some(name) if given.next().is_none() => Ok(Some(name)),
        _ => {
            let detail = "the Idempotency-Key header must be one value of 1 to 255 visible ASCII \
                          characters, such as a UUID";
            let problem = Problem::field("Idempotency-Key", detail);
            Err(ApiError::of_field(Code::InvalidRequest, problem))
        }
    }
}

/// The named requests that run.
#[derive(Default)]
pub(super) struct Running {
    turns: Mutex<HashMap<MemoKey, Arc<Turns<()>>>>,
}

/// A named request's turn: nobody else of its name runs.
struct Turn<'r> {
    // Given back before the place is.
    _held: OwnedMutexGuard<()>,
    _place: Place<'r>,
}

/// A request's place among those of its name.
struct Place<'r> {
    running: &'r Running,
    key: MemoKey,
    turns: Arc<Turns<()>>,
}

impl Running {
    /// Waits until nobody else of this name runs.
    async fn turn(&self, key: MemoKey) -> Result<Turn<'_>, ApiError> {
        let place = self.place(key).ok_or_else(|| {
            let message = "too many requests with an Idempotency-Key run; try again shortly";
            ApiError::new(Code::Overloaded, message)
        })?;
        let held = timeout(WAIT, Arc::clone(&place.turns).lock_owned()).await;
        let held = held.map_err(|_| {
            let message = "a request with this Idempotency-Key is still running; try again shortly";
            ApiError::new(Code::IdempotencyInProgress, message).retry_after(1)
        })?;
        Ok(Turn {
            _held: held,
            _place: place,
        })
    }

    fn place(&self, key: MemoKey) -> Option<Place<'_>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= RUNNING_MAX && !turns.contains_key(&key) {
            return None;
        }
        let turns = Arc::clone(turns.entry(key).or_default());
        Some(Place {
            running: self,
            key,
            turns,
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let turns = &self.running.turns;
        let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
        // The table's and this one: nobody else runs or waits.
        if Arc::strong_count(&self.turns) == 2 {
            turns.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(values: &[&str]) -> Result<Option<String>, Code> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(NAME, HeaderValue::from_str(value).unwrap());
        }
        let found = name(&headers).map_err(|error| error.code)?;
        Ok(found.map(|name| String::from_utf8(name.to_vec()).unwrap()))
    }

    #[test]
    fn a_name_is_bare_or_quoted_and_of_visible_characters() {
        assert_eq!(named(&[]), Ok(None));
        let long = "x".repeat(255);
        for (given, expected) in [
            ("order-7", "order-7"),
            ("\"order-7\"", "order-7"),
            (" order-7 ", "order-7"),
            (&*long, &*long),
        ] {
            assert_eq!(named(&[given]), Ok(Some(expected.to_owned())), "{given}");
        }
        let longer = "x".repeat(256);
        for given in ["", "\"\"", "\"", "a b", "a\tb", "\"open", &longer] {
            assert_eq!(named(&[given]), Err(Code::InvalidRequest), "{given}");
        }
        assert_eq!(named(&["a", "b"]), Err(Code::InvalidRequest));
    }

    #[tokio::test(start_paused = true)]
    async fn a_twin_waits_its_turn_and_is_sent_away_after_two_seconds() {
        let running = Running::default();
        let first = running.turn([1; 32]).await.ok().unwrap();
        assert!(running.turn([2; 32]).await.is_ok());
        let begun = tokio::time::Instant::now();
        let twin = running.turn([1; 32]).await.err().unwrap();
        assert_eq!(
            (twin.code, begun.elapsed()),
            (Code::IdempotencyInProgress, WAIT)
        );
        let later = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(first);
        };
        let (twin, ()) = tokio::join!(running.turn([1; 32]), later);
        assert!(twin.is_ok());
        drop(twin);
        assert!(
            running.turns.lock().unwrap().is_empty(),
            "nobody is left in the table"
        );
    }

    #[tokio::test]
    async fn a_full_table_takes_none_but_twins_and_empties_itself() {
        let running = Running::default();
        let key = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_le_bytes());
            key
        };
        let places: Vec<_> = (0..RUNNING_MAX)
            .map(|one| running.place(key(one)))
            .collect();
        assert!(places.iter().all(Option::is_some));
        let refused = running.turn(key(RUNNING_MAX)).await.err().unwrap();
        assert_eq!(refused.code, Code::Overloaded);
        assert!(running.turn(key(0)).await.is_ok());
        drop(places);
        assert!(running.turns.lock().unwrap().is_empty());
    }
}
