import { html, useState } from "../vendor/preact.js";
import { link } from "../router.js";
import { Section } from "./page.js";

/** What to do after set-up: shown once on the first page, until it is put away. */
export function WhatNext() {
  const [isOpen, setIsOpen] = useState(() => sessionStorage.getItem("pillarbox.welcome") === "yes");
  if (!isOpen) return null;
  const close = () => {
    sessionStorage.removeItem("pillarbox.welcome");
    setIsOpen(false);
  };
  return html`
    <${Section} title="The server is set up. What next?" actions=${html`<button type="button" onClick=${close}>Put this away</button>`}>
      <ol class="next">
        <li><a href=${link("/domains")}>Set the DNS records</a> of your domain: MX, SPF, and the reverse name. The domain's page has them to copy.</li>
        <li><a href=${`${link("/accounts")}?new=yes`}>Make the first accounts</a>: each shows what to enter in a mail program.</li>
        <li>Send a message to one of them, and follow it under <a href=${link("/trace")}>Trace</a>.</li>
        <li>Look at <a href=${link("/settings")}>Settings</a>: where each value comes from, and what a restart is needed for.</li>
      </ol>
    <//>
  `;
}
