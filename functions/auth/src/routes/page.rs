//! `GET /auth/password/reset`, `GET /auth/email/verify`: what the links of mails open.
//!
//! The token stands behind the `#` of the URL, which a browser keeps to itself: it comes to no server and into no log. The
//! page's script puts it into a form and takes it out of the address. Only the form's button sends it, by the same request
//! that any client makes: a mail scanner that opens every link, and runs every script, uses no token up.

use axum::{extract::State, response::IntoResponse};
use halyard_auth::encoding::to_base64url;
use halyard_http::openapi::Operation;
use http::{HeaderValue, header};

use crate::state::AppState;

/// The form that sets a new password.
pub async fn reset(State(state): State<AppState>) -> impl IntoResponse {
    let field = "<label>New password <input type=\"password\" name=\"new_password\" autocomplete=\"new-password\" \
                 minlength=\"8\" maxlength=\"128\" required autofocus></label>";
    page(
        &state,
        "Set a new password",
        field,
        "Your password is set, and every session has ended. You can sign in with it now.",
    )
}

/// The button that verifies an address.
pub async fn verify(State(state): State<AppState>) -> impl IntoResponse {
    page(&state, "Confirm your e-mail address", "", "Your e-mail address is confirmed. You can close this page.")
}

/// For docs/openapi.json.
pub fn describe_reset(op: &mut Operation<'_>) {
    op.named("showReset", "The page that sets a new password").detail(LINK).answers_text("text/html", "The page.");
}

/// For docs/openapi.json.
pub fn describe_verify(op: &mut Operation<'_>) {
    op.named("showVerification", "The page that confirms an e-mail address")
        .detail(LINK)
        .answers_text("text/html", "The page.");
}

const LINK: &str = "What the link of a mail opens. The token stands behind the `#`, which no server sees.";

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 26em; margin: 10vh auto; padding: 0 1em }
label { display: block; margin: 1em 0 }
[hidden] { display: none }
input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; padding: .5em .7em }
button { font-weight: 600; cursor: pointer }
";

/// It relies on nothing but the page around it.
const SCRIPT: &str = "
'use strict';
const form = document.querySelector('form'), said = document.querySelector('#said');
const button = form.querySelector('button');
const token = new URLSearchParams(location.hash.slice(1)).get('token');
if (token) {
  form.elements.token.value = token;
  form.elements.token.closest('label').hidden = true;
  history.replaceState(null, '', location.pathname);
}
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true;
  said.textContent = 'One moment ...';
  try {
    const answer = await fetch(location.pathname, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
      credentials: 'omit',
    });
    const told = await answer.json();
    if (answer.ok) {
      form.hidden = true;
      said.textContent = form.dataset.done;
      return;
    }
    const errors = (told.errors || []).map((error) => error.pointer.slice(1).replace('_', ' ') + ' ' + error.detail);
    said.textContent = errors.join('; ') || told.detail || told.message;
  } catch {
    said.textContent = 'There was no answer. Please try again.';
  }
  button.disabled = false;
});
";

fn page(state: &AppState, title: &'static str, field: &'static str, done: &'static str) -> impl IntoResponse + use<> {
    let nonce = to_base64url(state.entropy.bytes::<16>());
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <style nonce=\"{nonce}\">{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <form data-done=\"{done}\">\n\
         <label>Code from the mail <input name=\"token\" autocomplete=\"off\" spellcheck=\"false\" required></label>\n\
         {field}\n<button>{title}</button>\n</form>\n<p id=\"said\" role=\"status\"></p>\n\
         <noscript><p>This page needs JavaScript. A client does the same with a POST to this path; see the API's \
         documentation.</p></noscript>\n\
         <script nonce=\"{nonce}\">{SCRIPT}</script>\n</body>\n</html>\n"
    );
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // Base64 and constants: a header value.
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    (
        [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (header::CONTENT_SECURITY_POLICY, policy),
        ],
        html,
    )
}
