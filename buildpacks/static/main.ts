import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { staticSite } from './static.ts'

void runBuildpack(staticSite, invocationOf(process)).then(status => (process.exitCode = status))
