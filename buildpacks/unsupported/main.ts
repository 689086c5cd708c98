import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { unsupported } from './unsupported.ts'

void runBuildpack(unsupported, invocationOf(process)).then(status => (process.exitCode = status))
