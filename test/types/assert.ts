/** Exactly the same type: tells `any` from `unknown`, and optional from required. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** `expectType<Equal<A, B>>()` does not compile when they differ. */
export function expectType<_T extends true>(): void {}

/** A value of a type, for calls that are compiled and never made. */
export declare function the<T>(): T
