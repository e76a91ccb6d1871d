import { html, signal } from "../vendor/preact.js";
import { can } from "../session.js";
import { EmptyState } from "./state.js";

/** Whether somebody has said, since the page was loaded, that they want to read other people's mail. */
const isReading = signal(false);

/**
 * Shows content of messages only to who may read it, and after they have said that they want to.
 * @param {{ address: string, children: any }} props
 */
export function Reading({ address, children }) {
  if (!can("messages:read")) {
    return html`
      <${EmptyState} title="You may not read messages">
        Their content has a scope of its own, <code>messages:read</code>, which your role does not have. How many there are and how large they are is shown with the mailboxes.
      <//>
    `;
  }
  if (isReading.value) return children;
  return html`
    <div class="card reading">
      <h2>This is somebody's mail</h2>
      <p>Subjects, senders and text of the messages of <strong class="wrap-anywhere">${address}</strong> follow. Each look is written to the audit log with your name.</p>
      <button type="button" class="primary" onClick=${() => { isReading.value = true; }}>Show the messages</button>
    </div>
  `;
}
