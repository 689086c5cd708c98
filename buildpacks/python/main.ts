import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { python } from './python.ts'

void runBuildpack(python, invocationOf(process)).then(status => (process.exitCode = status))
