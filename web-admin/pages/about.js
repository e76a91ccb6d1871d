import { html, useState } from "../vendor/preact.js";
import { ApiError, get } from "../api.js";
import { link } from "../router.js";
import { can, session } from "../session.js";
import { Loaded, useGet } from "../ui/load.js";
import { Facts, Page, Section } from "../ui/page.js";
import { toast } from "../ui/toast.js";

/** Settings whose value may tell a secret; it is left out of what is given away. */
const MASKED = /secret|password|token|key$/i;

/** Which program is this, and what do those need who help with it? */
export default function About() {
  const version = useGet("/version");
  return html`
    <${Page} title="About">
      <${Loaded} of=${version}>
        ${(/** @type {any} */ row) => html`
          <${Facts} of=${[
            ["Program", "Pillarbox, a mail server: one program, one file"],
            ["Version", html`<code>${row.version}</code>`],
            ["Answers as", html`<span class="wrap-anywhere">${row.hostname}</span>`],
            ["Secrets in the file", row.secrets === "sealed" ? "sealed with the key file" : "as they are (no key file)"],
            ["Interface", html`<a href=${link("/api")}>REST, version 1</a>`],
          ]} />
        `}
      <//>
      <${Section} title="Support bundle">
        <p>For whoever helps you: version, overview and settings in one file, with secrets masked. It holds no mail and no password. Look through it before you send it.</p>
        <${Bundle} />
      <//>
      <${Section} title="Licences">
        <p>Pillarbox may be used under the MIT licence or the Apache licence 2.0, as you like. This page uses Preact and its signals (MIT) and htm (Apache 2.0); <a href=${new URL("../vendor/LICENSES.txt", import.meta.url).pathname}>their texts</a>.</p>
      <//>
      <${Section} title="You">
        <${Facts} of=${[
          ["Logged in as", html`<span class="wrap-anywhere">${session.value?.account ?? session.value?.display_name ?? "–"}</span>`],
          ["Roles", session.value?.roles.join(", ") || "–"],
          ["May", can("admin") ? "everything" : html`<span class="scope-list">${(session.value?.scopes ?? []).map((scope) => html`<code key=${scope}>${scope}</code> `)}</span>`],
        ]} />
      <//>
    <//>
  `;
}

function Bundle() {
  const [isBusy, setIsBusy] = useState(false);
  const download = async () => {
    setIsBusy(true);
    try {
      save("pillarbox-support.json", await gather());
    } catch (error) {
      toast.error(error);
    } finally {
      setIsBusy(false);
    }
  };
  return html`<div class="row"><button type="button" disabled=${isBusy} onClick=${download}>${isBusy ? "Gathering…" : "Download the support bundle"}</button></div>`;
}

/** What is in the bundle; what may not be read is named as such. */
async function gather() {
  const part = async (/** @type {string} */ scope, /** @type {string} */ path) => {
    if (scope && !can(scope)) return `left out: the scope ${scope} is missing`;
    return get(path).catch((/** @type {any} */ error) => {
      if (error instanceof ApiError) return `left out: ${error.status} ${error.detail}`;
      throw error;
    });
  };
  const [version, overview, settings] = await Promise.all([part("", "/version"), part("queue:read", "/overview"), part("settings:read", "/settings")]);
  return { made_at: new Date().toISOString(), browser: navigator.userAgent, version, overview, settings: settings.items?.map(masked) ?? settings };
}

/** @param {any} setting */
export function masked(setting) {
  return MASKED.test(setting.key) ? { ...setting, value: "masked", default: "masked" } : setting;
}

/**
 * @param {string} name
 * @param {unknown} content
 */
function save(name, content) {
  const url = URL.createObjectURL(new Blob([`${JSON.stringify(content, null, 2)}\n`], { type: "application/json" }));
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  URL.revokeObjectURL(url);
}
