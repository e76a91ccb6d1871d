import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { ApiError, post } from "../api.js";
import { go, link } from "../router.js";
import { refresh } from "../session.js";
import { ErrorBox, Loading } from "../ui/state.js";
import { Field, Form } from "../ui/form.js";
import { useGet } from "../ui/load.js";
import { Page } from "../ui/page.js";
import { PasswordField } from "../ui/password.js";
import { toast } from "../ui/toast.js";
import { RestoreInstead } from "./parts/restore.js";

const STEPS = ["Administrator", "Server name", "First domain"];
/** Which step asks for what the server may refuse. */
const ASKED_IN = { email: 0, password: 0, hostname: 1, first_domain: 2 };

/**
 * What now? Opened by the one-time link: makes the first administrator, names the server, adds a domain.
 * @param {{ parts: string[] }} props
 */
export default function Setup({ parts }) {
  const setup = useGet("/setup");
  const [step, setStep] = useState(0);
  const [given, setGiven] = useState(/** @type {Record<string, string>} */ ({}));
  const [refusal, setRefusal] = useState(/** @type {ApiError|null} */ (null));
  const [isRestoring, setIsRestoring] = useState(false);
  const token = parts[0] ?? "";
  if (setup.loading && !setup.data) return html`<${Page} title="Set up" plain><${Loading} /><//>`;
  if (setup.error) return html`<${Page} title="Set up" plain><${ErrorBox} error=${setup.error} retry=${setup.reload} /><//>`;
  if (!setup.data.needs_setup) return html`<${Done} />`;
  if (!token || refusal?.status === 403) return html`<${Spent} refusal=${refusal} />`;
  if (isRestoring) {
    return html`<${Page} title="Restore a backup" lead="Instead of setting a new server up: everything becomes as it was." plain>
      <${RestoreInstead} token=${token} onBack=${() => setIsRestoring(false)} onSpent=${setRefusal} />
    <//>`;
  }

  const next = async (/** @type {any} */ values) => {
    // Another address is in another domain: that is proposed anew.
    const all = { ...given, ...(values.email !== undefined && { first_domain: undefined }), ...values };
    check(values);
    setGiven(all);
    setRefusal(null);
    if (step < 2) return setStep(step + 1);
    await send(all);
  };
  const send = async (/** @type {Record<string, string>} */ all) => {
    const body = { setup_token: token, email: all.email.trim(), password: all.password, hostname: all.hostname.trim(),
      ...(all.first_domain.trim() && { first_domain: all.first_domain.trim() }) };
    try {
      const { body: done } = await post("/setup", body);
      if (done.restart_needed) toast(`The server gives itself the name ${done.hostname} from its next start on.`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const where = Object.entries(ASKED_IN).filter(([name]) => error.fault(`/${name}`)).map(([, step]) => step);
      setRefusal(error);
      if (where.length > 0) setStep(Math.min(...where));
      throw error;
    }
    sessionStorage.setItem("pillarbox.welcome", "yes");
    go("/overview");
    await refresh();
  };
  return html`
    <${Page} title="Set up Pillarbox" lead=${`Version ${setup.data.version}. Three steps, and mail can come in.`} plain>
      <${Steps} step=${step} onStep=${setStep} />
      <${Step} key=${step} step=${step} given=${given} guess=${setup.data.hostname_guess} refusal=${refusal} onNext=${next}
        onBack=${() => setStep(step - 1)} />
      ${step === 0 && html`<p class="row"><span>You have a backup of a server?</span>
        <button type="button" onClick=${() => setIsRestoring(true)}>Restore it instead</button></p>`}
    <//>
  `;
}

/**
 * Finds what is missing at once: the server is asked only after the last step.
 * @param {Record<string, string>} values
 */
function check({ email, password, hostname }) {
  const errors = [];
  if (email !== undefined && !/^[^@\s]+@[^@\s]+$/.test(email)) errors.push({ pointer: "/email", code: "malformed", message: "An address is needed, as in postmaster@example.org." });
  if (password === "") errors.push({ pointer: "/password", code: "missing", message: "A password is needed." });
  if (hostname === "") errors.push({ pointer: "/hostname", code: "missing", message: "A name is needed." });
  if (errors.length > 0) throw new ApiError({ status: 422, title: "Something is missing", detail: "Something is missing.", errors });
}

/** @param {{ step: number, onStep: (step: number) => void }} props */
function Steps({ step, onStep }) {
  return html`
    <ol class="steps" aria-label="Steps">
      ${STEPS.map((name, i) => html`
        <li key=${name} aria-current=${i === step ? "step" : undefined} class=${i < step ? "is-done" : ""}>
          ${i < step ? html`<button type="button" class="quiet" onClick=${() => onStep(i)}>${name}</button>` : html`<span>${name}</span>`}
        </li>
      `)}
    </ol>
  `;
}

/** @param {{ step: number, given: Record<string, string>, guess: string, refusal: ApiError|null, onNext: any, onBack: () => void }} props */
function Step({ step, given, guess, refusal, onNext, onBack }) {
  const form = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => form.current?.querySelector("input")?.focus(), []);
  const verb = step === 2 ? "Finish" : "Go on";
  return html`
    <div ref=${form}>
      <${Form} onSubmit=${onNext} submit=${verb} onCancel=${step > 0 ? onBack : undefined} cancel="Back" error=${refusal}>
        ${step === 0 && html`<${Administrator} given=${given} />`}
        ${step === 1 && html`<${ServerName} given=${given} guess=${guess} />`}
        ${step === 2 && html`<${FirstDomain} given=${given} />`}
      <//>
    </div>
  `;
}

/** @param {{ given: Record<string, string> }} props */
function Administrator({ given }) {
  return html`
    <p>This is the account that you administer the server with. It can have mail as well: its domain becomes one of this server's, if you like.</p>
    <${Field} label="Your address" name="email" type="email" value=${given.email} autocomplete="username" required
      hint="For example postmaster@your-domain. You log in with it." />
    <${PasswordField} label="Password" name="password" value=${given.password} autocomplete="new-password" required measured makes
      hint="Whoever has it has the whole server." />
  `;
}

/** @param {{ given: Record<string, string>, guess: string }} props */
function ServerName({ given, guess }) {
  return html`
    <p>The name that other mail servers see and that mail programs connect to. It has to be in the DNS, and the address's reverse name (PTR) should be the same.</p>
    <${Field} label="Host name" name="hostname" value=${given.hostname ?? guess} required hint="For example mail.your-domain" />
  `;
}

/** @param {{ given: Record<string, string> }} props */
function FirstDomain({ given }) {
  const domain = given.first_domain ?? given.email?.split("@")[1] ?? "";
  return html`
    <p>Mail for the domain of your address is taken in from now on. More domains can be added at any time.</p>
    <${Field} label="Domain" name="first_domain" value=${domain} hint="What stands behind the @ of your address." />
  `;
}

function Done() {
  return html`
    <${Page} title="Already set up" plain>
      <p>This server has its administrator: the set-up link has done its work.</p>
      <p><a class="button primary" href=${link("/overview")}>Log in</a></p>
    <//>
  `;
}

/** @param {{ refusal: ApiError|null }} props */
function Spent({ refusal }) {
  return html`
    <${Page} title="This link does not work" plain>
      ${refusal && html`<p role="alert">${refusal.detail}</p>`}
      <p>A set-up link holds for 60 minutes and works once. For a new one, on the server itself:</p>
      <pre><code>pillarbox admin link</code></pre>
    <//>
  `;
}
