/** Whole numbers as people read them. */

/** `1,234`. */
export const count = (n: number): string => Math.round(n).toLocaleString("en-US")

/** `1 call`, `1,234 calls`. */
export const counted = (n: number, noun: string): string => `${count(n)} ${n === 1 ? noun : `${noun}s`}`
