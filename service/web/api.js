// The service: requests with the token where one is needed, errors as problems, and every request as the curl that does the same.

const TOKEN = "plumbline.token";
const POLL_MS = 400;
// What a status means to whoever looks at this page.
const TITLES = {
  404: "This is not there", 409: "This does not go with the model as it is", 412: "Somebody else was quicker",
  413: "This is too much at once", 422: "Something has to be put right first", 429: "Too many trainings wait already", 503: "The service is not ready",
};
let ask = async () => null;

/** An error answer: its status, its detail, and by path what is wrong with each part. */
export class Problem extends Error {
  constructor({status = 0, title = "This did not work", detail = "", errors = {}}) {
    super(detail || title);
    Object.assign(this, {status, title, detail, errors});
  }
}

/** `asker(problem)` is called when a token is missing or wrong; it answers the token to try, or null. */
export const onTokenNeeded = (asker) => (ask = asker);

const token = () => sessionStorage.getItem(TOKEN);

/** The JSON of a GET. */
export const get = async (path) => (await request("GET", path)).json();

/** The JSON that answers a request, null where the answer is empty; `json` or `body` with its media `type`. */
export async function send(method, path, options = {}) {
  const answer = await request(method, path, options);
  return answer.status === 204 ? null : answer.json();
}

/** The answer to a request; asks for a token where one is needed, and tries again with it. */
export async function request(method, path, {json, body, type, headers = {}, signal} = {}) {
  const sent = new Headers({Accept: "application/json", ...headers});
  const content = json === undefined ? body : JSON.stringify(json);
  if (content !== undefined) sent.set("Content-Type", json === undefined ? type : "application/json");
  for (;;) {
    if (token()) sent.set("Authorization", `Bearer ${token()}`);
    const answer = await reached(path, {method, headers: sent, body: content, signal});
    if (answer.ok || answer.status === 304) return answer;
    const problem = await problemOf(answer);
    const refused = answer.status === 401 || (answer.status === 403 && sent.has("Authorization"));
    const given = refused ? await ask(problem) : null;
    if (!given) throw problem;
    sessionStorage.setItem(TOKEN, given);
  }
}

async function reached(path, options) {
  try {
    return await fetch(path, {...options, credentials: "omit"});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({title: "The service does not answer", detail: "Is it still running? Try again in a moment."});
  }
}

async function problemOf(answer) {
  try {
    const problem = await answer.json();
    return new Problem({...problem, status: answer.status, title: TITLES[answer.status] ?? problem.title});
  } catch {
    return new Problem({status: answer.status, title: `The service answered ${answer.status}`});
  }
}

/** A file of the service as an address that this page can open: the token cannot stand in a link. */
export async function fileAddress(path) {
  return URL.createObjectURL(await (await request("GET", path, {headers: {Accept: "*/*"}})).blob());
}

/** Wait until a job has ended and answer its record; `progress(record)` hears of each change. A failed job throws its problem. */
export async function job(path, progress = () => {}, {signal} = {}) {
  let record;
  let tag;
  for (;;) {
    const answer = await request("GET", path, {headers: tag ? {"If-None-Match": tag} : {}, signal});
    if (answer.status !== 304) {
      record = await answer.json();
      tag = answer.headers.get("ETag");
      progress(record);
    }
    if (record.state === "succeeded") return record;
    if (record.state === "failed" || record.state === "cancelled") {
      throw new Problem({title: record.state === "failed" ? "The job failed" : "The job was cancelled", ...record.error});
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The curl that sends the same request. A file is named by `file`, because its content does not belong on a command line. */
export function curl(method, path, {json, body, type, file, headers = {}} = {}) {
  const parts = ["curl -s", ...(method === "GET" ? [] : [`-X ${method}`]), quoted(location.origin + path)];
  if (token()) parts.push('-H "Authorization: Bearer $TOKEN"');
  if (json !== undefined || body !== undefined || file) {
    parts.push(`-H ${quoted(`Content-Type: ${json === undefined ? type : "application/json"}`)}`);
  }
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (json !== undefined) parts.push(`-d ${quoted(JSON.stringify(json))}`);
  else if (file) parts.push(`--data-binary @${quoted(file)}`);
  else if (body !== undefined) parts.push(`--data-binary ${quoted(body)}`);
  return parts.join(" \\\n  ");
}

/** A text as one word of a shell. */
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** A path made of parts that may hold any character. */
export const path = (parts, query = {}) => {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return `/${parts.map(encodeURIComponent).join("/")}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
};
