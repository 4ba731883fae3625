// Tests are compiled first (tsc -b); ava runs the output. Always from the repository's root.
export default {
  files: [
    '{protocol,native/*,hydra-client,guest-agent,host-bridge}/dist/test/**/*.test.js',
    'test/dist/**/*.test.js',
  ],
  // Native addons and child processes do not go well with worker threads.
  workerThreads: false,
  concurrency: 2,
  timeout: '2m',
  nodeArguments: ['--enable-source-maps'],
};
