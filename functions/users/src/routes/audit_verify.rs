//! `GET /api/audit/verify`

use axum::extract::State;
use halyard_domain::audit::{self, Fault, Link, hex};
use halyard_http::{
    ApiResult, AppQuery, Cursor, FieldError, Permitted, Problem, Success, SystemManage, openapi::Operation, success,
};
use halyard_store::audit::chain;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{error::UsersError, state::AppState};

/// Entries that one call verifies at most; as many if nothing else is asked for.
const MOST: u32 = 1000;

/// Where to begin.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    /// `cursor` of an earlier answer, however long ago: goes on from there, and finds what was before it rewritten.
    cursor: Option<String>,
    /// Entries to verify; as many as may be, unless it says so.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Response {
    /// Nothing was found on this page.
    intact: bool,
    /// Entries looked at.
    checked: usize,
    faults: Vec<FaultView>,
    /// What the chain says is its end.
    head: Option<LinkView>,
    /// Where this page ended, as a place to go on from, now or later.
    cursor: String,
    /// The same while there is more to verify.
    next_cursor: Option<String>,
}

/// What does not fit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditFault")]
pub struct FaultView {
    /// At this entry; 0 when there is none.
    id: i64,
    #[schemars(extend("enum" = ["altered", "missing", "rewritten", "ending"]))]
    code: &'static str,
    detail: &'static str,
}

/// A place in the chain.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditLink")]
pub struct LinkView {
    id: i64,
    /// In hexadecimal digits.
    hash: String,
    /// Both, as a cursor of `GET /api/audit/verify`.
    cursor: String,
}

impl From<&Link> for LinkView {
    fn from(link: &Link) -> Self {
        Self { id: link.id, hash: hex(&link.hash), cursor: Cursor::encode(link) }
    }
}

/// Computes the hashes of a page of entries once more.
pub async fn handler(
    State(state): State<AppState>,
    _: Permitted<SystemManage>,
    AppQuery(query): AppQuery<Request>,
) -> ApiResult<Success<Response>> {
    let limit = query.limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&limit) {
        let error = FieldError::new("/limit", "out_of_range", "must be between 1 and 1000");
        return Err(Problem::unprocessable(vec![error]));
    }
    let cursor = query.cursor.filter(|c| !c.is_empty()).map(Cursor::from_text);
    let from = cursor.map(|cursor| cursor.decode::<Link>()).transpose()?.unwrap_or_else(Link::start);
    // One more before for the entry that is gone on from, one more behind to see whether there are more.
    let wanted = i64::from(limit) + 2;
    let read = async { chain(&mut *state.pool.acquire().await?, from.id, wanted).await };
    let (mut entries, head) = read.await.map_err(UsersError::from)?;
    let known = usize::from(entries.first().is_some_and(|first| first.id == from.id));
    let page = known + usize::try_from(limit).unwrap_or(usize::MAX);
    let more = entries.len() > page;
    entries.truncate(page);
    // A head that was taken away is no head of any entry.
    let nowhere = Link { id: -1, hash: Vec::new() };
    let found = audit::verify(&from, &entries, (!more).then_some(head.as_ref().unwrap_or(&nowhere)));
    let cursor = Cursor::encode(&found.end);
    Ok(success(Response {
        intact: found.faults.is_empty(),
        checked: found.checked,
        faults: found.faults.into_iter().map(view).collect(),
        head: head.as_ref().map(LinkView::from),
        next_cursor: more.then(|| cursor.clone()),
        cursor,
    }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("verifyAudit", "Compute the hashes of the audit log once more")
        .detail("A page at a time, from the start or from the `cursor` of any earlier answer.")
        .answers::<Response>("What does not fit on this page; nothing, if it is `intact`.");
}

fn view((id, fault): (i64, Fault)) -> FaultView {
    let detail = match fault {
        Fault::Altered => "does not follow from the entry before: it was changed, moved or slipped in, or that one was",
        Fault::Missing => "does not follow from the entry before: entries between the two were removed",
        Fault::Rewritten => "is not what it was when the cursor was given: it was rewritten or removed",
        Fault::Ending => {
            "is not the end that the chain names: later entries were removed, or it was added past the chain"
        }
    };
    FaultView { id, code: fault.code(), detail }
}
