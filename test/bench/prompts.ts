/** What the bench asks: prompts of 850 characters, about 1 KB with the JSON around them, both ways. */

/** The model that every request names; nothing about it matters here. */
export const model = "gpt-4o-mini"

const filler = "the quick brown fox jumps over the lazy dog and asks what it was that made it run; ".repeat(
  11
)

/** A prompt that no other index or label has. */
export const prompt = (label: string, index: number): string => `${label} ${index}: ${filler}`.slice(0, 850)

/** The server answers with the prompt, so that a mixed-up answer is found. */
export const check = (label: string, index: number, text: unknown): void => {
  if (text !== prompt(label, index))
    throw new Error(`${label} ${index} has the wrong answer: ${String(text)}`)
}
