import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { go } from './go.ts'

void runBuildpack(go, invocationOf(process)).then(status => (process.exitCode = status))
