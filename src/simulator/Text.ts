/**
 * Made-up text: long enough, cheap to make, and marked with the request it answers.
 */
import type { RequestHash } from "./RequestHash.js"

/** Characters a token stands for, throughout the simulator. */
export const charsPerToken = 4

/** Tokens of so many characters, rounded up. */
export const tokensOf = (chars: number): number => Math.ceil(chars / charsPerToken)

/** Text cut into the simulator's tokens. */
export const splitTokens = (text: string, tokensPerPiece = 1): Array<string> => {
  const pieces: Array<string> = []
  const step = charsPerToken * Math.max(1, tokensPerPiece)
  for (let at = 0; at < text.length; at += step) pieces.push(text.slice(at, at + step))
  return pieces
}

const filler =
  "the water rises slowly behind the gate and the keeper counts each boat that waits below until one of them may pass into the upper basin where the wind is calm and the reeds stand still "

/** The beginning of a prompt, on one line. */
const excerpt = (prompt: string): string => prompt.slice(0, 80).replace(/\s+/g, " ").trim()

/** The mark every answer begins with: `Answer`, the request's hash, and from the second choice on its number. */
export const mark = (hash: RequestHash, choice = 0): string =>
  choice === 0 ? `Answer ${hash.text}` : `Answer ${hash.text}/${choice + 1}`

/** An answer of so many tokens; one shorter than its head (mark and the prompt's beginning) becomes that. */
export const answer = (hash: RequestHash, prompt: string, choice: number, tokens: number): string => {
  const head = `${mark(hash, choice)}: ${excerpt(prompt)}`
  const length = tokens * charsPerToken
  if (length <= head.length) return head
  const from = hash.low % filler.length
  const missing = length - head.length - 2
  const rest = filler.slice(from) + filler.repeat(Math.ceil(Math.max(0, missing) / filler.length))
  return `${head}. ${rest}`.slice(0, length)
}
