// Made by auth0-sync, which keeps it as it is; `auth0-sync teardown` removes it.
// Tells the service whose row to read again. At a user's triggers it carries ids alone, changes nothing of
// what runs here, gives up soon, and never throws: what it fails to tell, the service finds in the tenant
// log. For an event stream it carries the event, and throws what was not taken: Auth0 tries again.
const { createHmac, randomUUID } = require('crypto');

// A login waits for the answer; the other triggers run beside what the user does.
const PATIENCE = { 'post-login': 1500 };
const PATIENCE_BESIDE = 5000;
// Nobody waits for an event; Auth0 ends an Action after 20 seconds.
const PATIENCE_EVENT = 10000;
// After a failure nobody waits for a while: a service that is away must not slow every login.
const REST = 30000;
let restsUntil = 0;

async function post(secrets, message, patience) {
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(), patience);
  try {
    const body = JSON.stringify(message);
    const time = String(Date.now());
    const id = randomUUID();
    const key = Buffer.from(secrets.AUTH0_SYNC_KEY, 'base64');
    const signature = createHmac('sha256', key).update(`${time}.${id}.${body}`).digest('base64');
    const answer = await fetch(secrets.AUTH0_SYNC_URL, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-auth0-sync-time': time,
        'x-auth0-sync-id': id,
        'x-auth0-sync-signature': signature,
      },
      body,
      redirect: 'error',
      signal: aborter.signal,
    });
    await answer.arrayBuffer();
    return answer.status;
  } finally {
    clearTimeout(timer);
  }
}

async function report(trigger, event) {
  if (Date.now() < restsUntil) return;
  try {
    const message = {
      trigger,
      user_id: event.user?.user_id,
      session_id: event.session?.id,
      refresh_token_id: event.refresh_token?.id,
      organization_id: event.organization?.id,
    };
    const status = await post(event.secrets, message, PATIENCE[trigger] ?? PATIENCE_BESIDE);
    if (status >= 500) restsUntil = Date.now() + REST;
  } catch {
    restsUntil = Date.now() + REST;
  }
}

async function deliver(event) {
  const status = await post(event.secrets, event.message, PATIENCE_EVENT);
  if (status < 200 || status > 299) throw new Error(`the service has not taken the event: ${status}`);
}

exports.onExecutePostLogin = (event) => report('post-login', event);
exports.onExecutePostUserRegistration = (event) => report('post-user-registration', event);
exports.onExecutePostChangePassword = (event) => report('post-change-password', event);
exports.onExecuteEventStream = (event) => deliver(event);
