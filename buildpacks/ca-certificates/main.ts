import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { caCertificates } from './ca-certificates.ts'

void runBuildpack(caCertificates, invocationOf(process)).then(status => (process.exitCode = status))
