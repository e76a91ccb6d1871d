// What the page uses of Preact, its hooks, signals and htm, as one module: `make` bundles it.
import { Fragment, createContext, h, render } from "preact";
import htm from "htm";

export const html = htm.bind(h);
export { Fragment, createContext, render };
export {
  useCallback, useContext, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useRef, useState,
} from "preact/hooks";
export { batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect } from "@preact/signals";
