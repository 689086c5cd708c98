import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { elixir } from './elixir.ts'

void runBuildpack(elixir, invocationOf(process)).then(status => (process.exitCode = status))
