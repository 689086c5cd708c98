import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { apt } from './apt.ts'

void runBuildpack(apt, invocationOf(process)).then(status => (process.exitCode = status))
