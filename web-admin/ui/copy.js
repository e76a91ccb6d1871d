// A button that copies a text and says so.
import { html, useState } from "../vendor/preact.js";
import { Icon } from "./icon.js";

const SHOWN_MS = 2500;

/** @param {{ text: string | (() => string), label?: string, words?: boolean }} props words: the label is shown too */
export function CopyButton({ text, label = "Copy", words = false }) {
  const [state, setState] = useState("");
  const copy = async () => {
    setState((await write(typeof text === "function" ? text() : text)) ? "Copied" : "Not copied: select it by hand");
    setTimeout(() => setState(""), SHOWN_MS);
  };
  return html`<button type="button" class=${words ? "" : "quiet icon-only"} onClick=${copy} aria-label=${label} title=${label}>
    <${Icon} name=${state === "Copied" ? "ok" : "copy"} />${words && html`<span aria-hidden="true">${state || label}</span>`}
    <span class="visually-hidden" role="status">${state}</span>
  </button>`;
}

/** The clipboard needs https or this machine; else the old way may still work. @param {string} text */
async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    return isCopied;
  }
}
