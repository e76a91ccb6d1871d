// The types of what entry.js exports, as far as the page needs them.
export type VNode = object;
export type Child = VNode | string | number | boolean | null | undefined | Child[];
export interface Signal<T> { value: T; peek(): T; subscribe(fn: (value: T) => void): () => void }
export interface ReadonlySignal<T> { readonly value: T; peek(): T; subscribe(fn: (value: T) => void): () => void }
export interface Context<T> { Provider: unknown; __type?: T }
export interface Ref<T> { current: T }
export function html(strings: TemplateStringsArray, ...values: unknown[]): any;
export function render(node: VNode | VNode[], parent: Element): void;
export const Fragment: unknown;
export function createContext<T>(value: T): Context<T>;
export function useCallback<F extends (...args: any[]) => any>(fn: F, inputs: unknown[]): F;
export function useContext<T>(context: Context<T>): T;
export function useEffect(fn: () => void | (() => void), inputs?: unknown[]): void;
export function useLayoutEffect(fn: () => void | (() => void), inputs?: unknown[]): void;
export function useErrorBoundary(fn?: (error: any) => void): [any, () => void];
export function useId(): string;
export function useMemo<T>(fn: () => T, inputs: unknown[]): T;
export function useRef<T>(value: T): Ref<T>;
export function useState<T>(value: T | (() => T)): [T, (value: T | ((old: T) => T)) => void];
export function batch<T>(fn: () => T): T;
export function computed<T>(fn: () => T): ReadonlySignal<T>;
export function effect(fn: () => void | (() => void)): () => void;
export function signal<T>(value: T): Signal<T>;
export function untracked<T>(fn: () => T): T;
export function useComputed<T>(fn: () => T): ReadonlySignal<T>;
export function useSignal<T>(value: T): Signal<T>;
export function useSignalEffect(fn: () => void | (() => void)): void;
