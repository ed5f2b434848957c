/** How the files of a batch are written: by their ending, where the command line does not say. */

/** Formats of input files. */
export const inputFormats = { jsonl: "jsonl", csv: "csv", tsv: "tsv" } as const
export type InputFormat = keyof typeof inputFormats

/** Formats of output files. `openai` is the output file of OpenAI's Batch API. */
export const outputFormats = { jsonl: "jsonl", csv: "csv", tsv: "tsv", openai: "openai" } as const
export type OutputFormat = keyof typeof outputFormats

/** What separates the fields of a table. */
export const delimiters = { csv: ",", tsv: "\t" } as const
export type TableFormat = keyof typeof delimiters

export const isTable = (format: OutputFormat): format is TableFormat => Object.hasOwn(delimiters, format)

/** What the name of a file says of its format. JSON lines, where it says nothing. */
export const formatOf = (file: string): InputFormat => {
  const ending = /\.(\w+)$/.exec(file)?.[1]?.toLowerCase()
  return ending === "csv" ? "csv" : ending === "tsv" || ending === "tab" ? "tsv" : "jsonl"
}

/** The formats of a run's files. */
export interface Formats {
  readonly input: InputFormat
  readonly output: OutputFormat
}

/** What the flags that concern the files' formats say. */
export interface FormatFlags {
  readonly input: string
  readonly output: string
  readonly inputFormat: InputFormat | undefined
  readonly format: OutputFormat | undefined
}

export const formatsOf = (flags: FormatFlags): Formats => ({
  input: flags.inputFormat ?? formatOf(flags.input),
  output: flags.format ?? formatOf(flags.output)
})

/**
 * The checkpoint of a run. JSON lines are their own; beside any other output its outcomes are kept as JSON lines, durable
 * one by one, and the output is made of them.
 */
export const checkpointOf = (flags: FormatFlags, output: string = flags.output): string =>
  formatsOf(flags).output === "jsonl" ? output : `${output}.floodgate.jsonl`

/** Where the batch jobs of a run are written down until its output is whole. */
export const jobFileOf = (checkpoint: string): string => `${checkpoint}.jobs.jsonl`
