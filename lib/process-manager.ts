/**
 * Whether PM2 runs this app in its cluster mode: then PM2's daemon is the cluster's primary, and every process of the app
 * is a worker of it. PM2 tells so in the environment, https://pm2.keymetrics.io/docs/usage/cluster-mode/. Workers of an app
 * in fork mode inherit `pm_id`, too, but with another `exec_mode`.
 */
export function isPm2Cluster(env: NodeJS.ProcessEnv = process.env): boolean {
  return env.pm_id !== undefined && env.exec_mode === 'cluster_mode'
}

/** What to do then. */
export const PM2_CURE =
  "Have PM2 run one process of it in fork mode (exec_mode: 'fork', instances: 1): the hub forks the workers."
