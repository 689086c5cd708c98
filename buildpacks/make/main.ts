import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { make } from './make.ts'

void runBuildpack(make, invocationOf(process)).then(status => (process.exitCode = status))
