import { type RunImageOptions, runContainer } from '../../lifecycle/engines/run-container.ts'

// A process of its own that runs an image as `bale run` does, to be given a terminal or to be killed.
const options = JSON.parse(process.argv[2] ?? '{}') as RunImageOptions
// Where the kernel has no Landlock each run warns of that.
const warn = (text: string): void => void (/abstract unix sockets/.test(text) || console.error(text))
process.exitCode = await runContainer({ ...options, signals: process, warn })
