/** All commands, in the order in which they are told. */
import * as Effect from "effect/Effect"
import { type CliCommand, make } from "./command.js"

export const commands: ReadonlyArray<CliCommand> = [
  make({
    words: ["ask"],
    usage: "PROMPT [options]",
    purpose: "Ask one thing, and read the answer as it comes; text that is piped in goes with it",
    command: () => import("./askCommand.js").then(({ askCommand }) => askCommand),
    run: (flags) => import("./runAsk.js").then(({ runAsk }) => runAsk(flags))
  }),
  make({
    words: ["chat"],
    usage: "[options]",
    purpose: "Talk with a model, turn by turn",
    command: () => import("./chatCommand.js").then(({ chatCommand }) => chatCommand),
    run: (flags) => import("./runChat.js").then(({ runChat }) => runChat(flags))
  }),
  make({
    words: ["batch"],
    usage: "INPUT --output FILE [options]",
    purpose: "Answer a file of requests. Run again, the same command does only what is missing",
    command: () => import("./batchCommand.js").then(({ batchCommand }) => batchCommand),
    run: (flags) => import("./runBatch.js").then(({ runBatch }) => runBatch(flags))
  }),
  make({
    words: ["embed"],
    usage: "INPUT --output FILE [options]",
    purpose: "Turn the texts of a file into vectors. Run again, the same command does only what is missing",
    command: () => import("./embedCommand.js").then(({ embedCommand }) => embedCommand),
    run: (flags) => import("./runEmbed.js").then(({ runEmbed }) => runEmbed(flags))
  }),
  make({
    words: ["estimate"],
    usage: "INPUT [options]",
    purpose: "Tell what floodgate batch would cost and how long it would take. Nothing is sent",
    command: () => import("./estimateCommand.js").then(({ estimateCommand }) => estimateCommand),
    run: (flags) => import("./runEstimate.js").then(({ runEstimate }) => runEstimate(flags))
  }),
  make({
    words: ["report"],
    usage: "RUN [options]",
    purpose:
      "Make a page of a run: throughput, latency, tokens, cost, errors, and its rows to search. One file, and no network",
    command: () => import("./reportCommand.js").then(({ reportCommand }) => reportCommand),
    run: (flags) => import("./runReport.js").then(({ runReport }) => runReport(flags))
  }),
  make({
    words: ["models"],
    usage: "[options]",
    purpose: "Tell which models the endpoints offer, and what they cost",
    command: () => import("./modelsCommand.js").then(({ modelsCommand }) => modelsCommand),
    run: (flags) => import("./runModels.js").then(({ runModels }) => runModels(flags))
  }),
  make({
    words: ["test"],
    usage: "[options]",
    purpose:
      "Check every endpoint with a tiny call: whether it can be reached, its key works and its model is there. Says what to do where it does not",
    command: () => import("./testCommand.js").then(({ testCommand }) => testCommand),
    run: (flags) => import("./runTest.js").then(({ runTest }) => runTest(flags))
  }),
  make({
    words: ["init"],
    usage: "[options]",
    purpose: "Write a floodgate.yaml with comments; asks for what it needs in a terminal",
    command: () => import("./initCommand.js").then(({ initCommand }) => initCommand),
    run: (flags) => import("./runInit.js").then(({ runInit }) => runInit(flags))
  }),
  make({
    words: ["config", "show"],
    usage: "[options]",
    purpose:
      "Print the settings in force and where each is from; secrets are hidden. Takes the flags of floodgate batch that go before the file",
    command: () => import("./configCommand.js").then(({ configShowCommand }) => configShowCommand),
    run: (flags) => import("./runConfigShow.js").then(({ runConfigShow }) => runConfigShow(flags))
  }),
  make({
    words: ["cache", "stats"],
    usage: "--cache PATH [options]",
    purpose: "Tell what a cache holds: answers, bytes, namespaces, what has expired",
    command: () => import("./cacheCommand.js").then(({ statsCommand }) => statsCommand),
    run: (flags) => import("./runCache.js").then(({ runStats }) => runStats(flags))
  }),
  make({
    words: ["cache", "clear"],
    usage: "--cache PATH [options]",
    purpose: "Delete the answers of one namespace of a cache, or all",
    command: () => import("./cacheCommand.js").then(({ clearCommand }) => clearCommand),
    run: (flags) => import("./runCache.js").then(({ runClear }) => runClear(flags))
  }),
  make({
    words: ["cache", "export"],
    usage: "--cache PATH [options]",
    purpose:
      "Write the answers of a cache as JSON lines, with their keys and times, and with their requests where these were stored",
    command: () => import("./cacheCommand.js").then(({ exportCommand }) => exportCommand),
    run: (flags) => import("./exportCache.js").then(({ runExport }) => runExport(flags))
  }),
  make({
    words: ["cache", "import"],
    usage: "FILE --cache PATH [options]",
    purpose:
      "Put answers from JSON lines into a cache; what is there already stays. Reads what export writes, caches of FluxLLM whose requests were saved, and output files of flexllm",
    command: () => import("./cacheCommand.js").then(({ importCommand }) => importCommand),
    run: (flags) => import("./importCache.js").then(({ runImport }) => runImport(flags))
  }),
  make({
    words: ["simulate"],
    usage: "[options]",
    purpose:
      "Start a local server that speaks the providers' APIs, with limits, latency, faults and a billing log",
    command: () => import("./simulateCommand.js").then(({ simulateCommand }) => simulateCommand),
    run: (flags) => import("./runSimulate.js").then(({ runSimulate }) => runSimulate(flags))
  }),
  make({
    words: ["completions"],
    usage: "SHELL",
    purpose:
      'Print completions for a shell. In ~/.bashrc: eval "$(floodgate completions bash)"; in ~/.zshrc, after compinit: eval "$(floodgate completions zsh)"; in fish: floodgate completions fish | source',
    command: () => import("./completionsCommand.js").then(({ completionsCommand }) => completionsCommand),
    run: ({ shell }) =>
      import("./completions.js").then(({ script }) =>
        Effect.map(script(commands, shell), (text) => void process.stdout.write(text))
      )
  })
]
