export type {
  Contract,
  EventArgs,
  EventName,
  EventsOf,
  TaskArgs,
  TaskInput,
  TaskName,
  TaskOutput,
  TasksOf,
  UntypedContract,
} from './contract.js'
export { HubError, type HubErrorCode } from './errors.js'
export { startHub } from './hub.js'
export type { HubOptions, RecoveryOptions } from './options.js'
export type { Schemas, StandardIssue, StandardResult, StandardSchema, TaskSchemas } from './schema.js'
export type {
  AnyListener,
  Caller,
  Exit,
  Gathered,
  HandleOptions,
  HttpServer,
  HttpStats,
  HttpWorkerStats,
  Hub,
  HubStats,
  Lifecycle,
  LifecycleEvents,
  LinkStats,
  Listening,
  ListenOptions,
  Member,
  MemberState,
  MembersTarget,
  MemberTarget,
  PrimaryHub,
  RecoveryStats,
  RestartKind,
  RoleSpec,
  RoleTarget,
  SeatSpec,
  Sender,
  Sticky,
  SupervisionOptions,
  Target,
  TaskContext,
  TaskHandler,
  WorkerHub,
  WorkerSpec,
} from './types.js'
export { isHubMessage } from './wire/batch.js'
export { type JoinOptions, joinHub } from './worker.js'
