import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { environment } from './environment.ts'

void runBuildpack(environment, invocationOf(process)).then(status => (process.exitCode = status))
