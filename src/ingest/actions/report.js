// Made by auth0-sync, which keeps it as it is; `auth0-sync teardown` removes it.
// Tells the service whose row to read again. It carries ids alone, changes nothing of what runs here,
// gives up soon, and never throws: what it fails to tell, the service finds in the tenant log.
const { createHmac, randomUUID } = require('crypto');

// A login waits for the answer; the other triggers run beside what the user does.
const PATIENCE = { 'post-login': 1500 };
const PATIENCE_BESIDE = 5000;
// After a failure nobody waits for a while: a service that is away must not slow every login.
const REST = 30000;
let restsUntil = 0;

async function report(trigger, event) {
  if (Date.now() < restsUntil) return;
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(), PATIENCE[trigger] ?? PATIENCE_BESIDE);
  try {
    const body = JSON.stringify({
      trigger,
      user_id: event.user?.user_id,
      session_id: event.session?.id,
      refresh_token_id: event.refresh_token?.id,
      organization_id: event.organization?.id,
    });
    const time = String(Date.now());
    const id = randomUUID();
    const key = Buffer.from(event.secrets.AUTH0_SYNC_KEY, 'base64');
    const signature = createHmac('sha256', key).update(`${time}.${id}.${body}`).digest('base64');
    const answer = await fetch(event.secrets.AUTH0_SYNC_URL, {
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
    if (answer.status >= 500) restsUntil = Date.now() + REST;
  } catch {
    restsUntil = Date.now() + REST;
  } finally {
    clearTimeout(timer);
  }
}

exports.onExecutePostLogin = (event) => report('post-login', event);
exports.onExecutePostUserRegistration = (event) => report('post-user-registration', event);
exports.onExecutePostChangePassword = (event) => report('post-change-password', event);
