import { useEffect, useRef, useState } from "../vendor/preact.js";

/**
 * The text of a box whose value stands elsewhere, as in the page's address. What somebody types stays, whatever is drawn
 * anew meanwhile and whatever an earlier answer brings; a value that comes from elsewhere (a link, "Show all") takes its place.
 * @param {string} value
 * @returns {[string, (text: string) => void]} the text, and what to call with each that is typed
 */
export function useTyped(value) {
  const [text, setText] = useState(value);
  const known = useRef(value);
  useEffect(() => {
    if (value !== known.current) setText(value);
    known.current = value;
  }, [value]);
  const type = (/** @type {string} */ next) => {
    setText(next);
    known.current = next.trim();
  };
  return [text, type];
}
