// SPDX-License-Identifier: Apache-2.0
// A component that is loaded when it is first shown.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { Loading, Problem } from '../parts/notice';

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [, redraw] = useState(0);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (loaded) return;
      load().then((component) => {
        loaded = component;
        redraw((n) => n + 1);
      }, () => setFailed(true));
    }, [failed]);
    if (loaded) {
      const Loaded = loaded;
      return <Loaded {...props} />;
    }
    if (failed)
      return <Problem sentence="A part of the portal could not be loaded." onRetry={() => location.reload()} />;
    return <Loading />;
  };
}
