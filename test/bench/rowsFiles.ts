/** The input of the bench over many rows, and whether an output is its answer: streamed, row by row. */

import { once } from "node:events"
import { createReadStream, createWriteStream } from "node:fs"
import { createInterface } from "node:readline"
import { finished } from "node:stream/promises"

const filler = "Natalia sold clips to some of her friends in April, and then she sold half as many in May. "

/** About as long as a question of a school book; no other row has it. */
export const prompt = (index: number): string => `Question ${index}: ${filler.repeat(3)}`.slice(0, 235)

/** Writes the requests of these many rows. */
export const writeInput = async (path: string, rows: number): Promise<void> => {
  const file = createWriteStream(path)
  for (let index = 0; index < rows; ) {
    let block = ""
    for (const end = Math.min(rows, index + 1_000); index < end; index++) {
      block += `${JSON.stringify({ custom_id: `row-${index}`, prompt: prompt(index) })}\n`
    }
    if (!file.write(block)) await once(file, "drain")
  }
  file.end()
  await finished(file)
}

/** Writes the first lines of a file to another one. */
export const writeHead = async (from: string, rows: number, to: string): Promise<void> => {
  const file = createWriteStream(to)
  let written = 0
  const lines = createInterface({ input: createReadStream(from) })
  for await (const line of lines) {
    if (!file.write(`${line}\n`)) await once(file, "drain")
    if (++written === rows) break
  }
  lines.close()
  file.end()
  await finished(file)
}

/** Reads an output through: what is wrong with it, or nothing. */
export const faultOf = async (path: string, rows: number): Promise<string | undefined> => {
  let index = 0
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const { custom_id: id, index: written, response } = JSON.parse(line)
    if (written !== index || id !== `row-${index}`) return `line ${index + 1} is row ${written}, ${id}`
    if (response?.text !== prompt(index)) return `row ${index} has the wrong answer`
    index++
  }
  return index === rows ? undefined : `${index} rows of ${rows}`
}
