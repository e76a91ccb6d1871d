// Is mail flowing? One line says it; below stand the numbers behind it, and for each failing check its fix.
import { html } from "../vendor/preact.js";
import { Page } from "../ui/page.js";
import { Loaded, useGet } from "../ui/load.js";

export default function Overview() {
  const overview = useGet("/overview", { live: "queue delivery health" });
  return html`<${Page} title="Overview"><${Loaded} of=${overview}>${(/** @type {any} */ data) => html`<p>${data.verdict.sentence}</p>`}<//><//>`;
}
