/** `floodgate completions SHELL` */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"

/** The shells that completions can be had for. */
export const shells = { bash: "bash", zsh: "zsh", fish: "fish" } as const
export type Shell = (typeof shells)[keyof typeof shells]

const shell = Args.text({ name: "SHELL" }).pipe(Args.withDescription("bash, zsh or fish"))

/** The command; what it does is loaded when it runs. */
export const completionsCommand = Command.make("completions", { shell })
