// The REST interface: nothing else is asked by the page. Every refusal becomes an ApiError with the server's own words.
import { live } from "./live.js";

const BASE = "/api/v1";
const JOB_ENDS = ["succeeded", "failed", "cancelled"];
const POLL_MS = [150, 300, 600, 1000, 2000];

/** @typedef {{ pointer?: string, parameter?: string, code: string, message: string }} Fault */
/** @typedef {Record<string, string | number | boolean | null | undefined>} Query */
/** @typedef {{ etag?: string, create?: boolean, once?: boolean, query?: Query, headers?: Record<string, string>, quiet?: boolean }} Options */
/** @typedef {{ body: any, etag: string, status: number }} Answer */

/** A refusal (RFC 9457), or no answer at all (status 0). */
export class ApiError extends Error {
  /** @param {{ status: number, type?: string, title?: string, detail?: string, instance?: string, errors?: Fault[] }} problem */
  constructor(problem) {
    super(problem.detail || problem.title || "The server gave no reason.");
    this.status = problem.status;
    this.code = (problem.type ?? "").replace("urn:pillarbox:problem:", "");
    this.title = problem.title ?? "";
    this.detail = problem.detail ?? "";
    this.instance = problem.instance ?? "";
    /** @type {Fault[]} */
    this.faults = problem.errors ?? [];
  }

  /** What is wrong with the field at that pointer, "" for nothing. @param {string} pointer */
  fault(pointer) {
    const own = this.faults.filter((fault) => fault.pointer === pointer || fault.pointer?.startsWith(`${pointer}/`));
    return own.map((fault) => fault.message).join("; ");
  }
}

/** @type {() => void} */
let onLoggedOut = () => {};
/** Says who is told when the session has ended. @param {() => void} fn */
export function whenLoggedOut(fn) {
  onLoggedOut = fn;
}

/**
 * A path with every value percent-encoded: at`/accounts/${address}`.
 * @param {TemplateStringsArray} strings
 * @param {...(string | number)} values
 */
export function at(strings, ...values) {
  return strings.reduce((path, text, place) => path + encodeURIComponent(String(values[place - 1])) + text);
}

/** Reads. @param {string} path @param {Query} [query] @param {Options} [options] @returns {Promise<any>} */
export const get = async (path, query, options) => (await call("GET", path, undefined, { query, ...options })).body;
/** Reads with the ETag. @param {string} path @param {Query} [query] */
export const read = (path, query) => call("GET", path, undefined, { query });
/** Creates or replaces. @param {string} path @param {unknown} [body] @param {Options} [options] */
export const put = (path, body = {}, options) => call("PUT", path, body, options);
/** Changes what is named (RFC 7396). @param {string} path @param {unknown} body @param {Options} [options] */
export const patch = (path, body, options) => call("PATCH", path, body, options);
/** Acts. @param {string} path @param {unknown} [body] @param {Options} [options] */
export const post = (path, body, options) => call("POST", path, body, options);
/** Deletes. @param {string} path @param {Options} [options] */
export const remove = (path, options) => call("DELETE", path, undefined, options);

/**
 * Waits for a job's end.
 * @param {any} job as the 202 had it
 * @param {(job: any) => void} [onProgress]
 * @returns {Promise<any>} the job as it ended
 */
export async function waitForJob(job, onProgress) {
  /** @type {() => void} */
  let wake = () => {};
  const stop = live("job", (_, event) => (event?.id === job.id || !event) && wake());
  try {
    for (let turn = 0; !JOB_ENDS.includes(job.state); turn += 1) {
      const wait = POLL_MS[Math.min(turn, POLL_MS.length - 1)];
      await new Promise((done) => {
        wake = () => done(undefined);
        setTimeout(done, wait);
      });
      job = await get(at`/jobs/${job.id}`);
      onProgress?.(job);
    }
  } finally {
    stop();
  }
  return job;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} body
 * @param {Options} [options]
 * @returns {Promise<Answer>}
 */
async function call(method, path, body, options = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json, application/problem+json, */*;q=0.5", ...options.headers };
  if (body !== undefined && !(body instanceof Blob)) headers["Content-Type"] ??= "application/json";
  if (options.etag) headers["If-Match"] = options.etag;
  if (options.create) headers["If-None-Match"] = "*";
  if (options.once) headers["Idempotency-Key"] = unique();
  const isText = body === undefined || body instanceof Blob || typeof body === "string";
  let response;
  try {
    response = await fetch(BASE + path + search(options.query), {
      method, headers, body: /** @type {BodyInit} */ (isText ? body : JSON.stringify(body)), credentials: "same-origin",
    });
  } catch {
    throw new ApiError({
      status: 0, title: "The server does not answer",
      detail: "It is stopped, or the network between is down. What was asked may have been done or not.",
    });
  }
  const type = response.headers.get("Content-Type") ?? "";
  if (!response.ok) {
    const problem = type.includes("json") ? await response.json().catch(() => ({})) : {};
    if (response.status === 401 && !options.quiet) onLoggedOut();
    throw new ApiError({ title: response.statusText, ...problem, status: response.status });
  }
  const isEmpty = response.status === 204 || response.headers.get("Content-Length") === "0";
  const content = isEmpty ? null : type.includes("json") ? await response.json() : await response.text();
  return { body: content, etag: response.headers.get("ETag") ?? "", status: response.status };
}

/** "?a=b" of what is set. @param {Query} [query] */
export function search(query = {}) {
  const all = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(all.map(([key, value]) => [key, String(value)])).toString();
  return text && `?${text}`;
}

/** A key that nobody else has; randomUUID needs https, this does not. */
function unique() {
  const octets = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}
