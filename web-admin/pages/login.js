import { html } from "../vendor/preact.js";
import { Field, Form } from "../ui/form.js";
import { useGet } from "../ui/load.js";
import { Page } from "../ui/page.js";
import { PasswordField } from "../ui/password.js";
import { hasEnded, logIn } from "../session.js";

/** Who are you? Shown in place of every page while nobody is logged in: the page that was asked for comes back after it. */
export default function Login() {
  const setup = useGet("/setup");
  const enter = (/** @type {any} */ values) => logIn(values.email, values.password);
  if (setup.data?.needs_setup) return html`<${NoAdministrator} />`;
  return html`
    <${Page} title="Log in" plain>
      ${hasEnded.value && html`<p role="status" class="note">Your session has ended. Log in to go on where you were.</p>`}
      <${Form} onSubmit=${enter} submit="Log in">
        <${Field} label="Address" name="email" type="email" autocomplete="username" required autofocus />
        <${PasswordField} label="Password" name="password" autocomplete="current-password" required />
      <//>
      <p class="quiet">
        Only accounts with the role admin, operator or domain admin see more than their own session here. Nobody left who can log in? On the server,
        ${" "}<code>pillarbox account put ADDRESS --role admin</code> makes an administrator.
      </p>
    <//>
  `;
}

function NoAdministrator() {
  return html`
    <${Page} title="Not set up yet" plain>
      <p>This server has no administrator. It printed a link at its start that makes the first one; it holds for 60 minutes and works once.</p>
      <p>To get a new one, on the server itself:</p>
      <pre><code>pillarbox admin link</code></pre>
    <//>
  `;
}
