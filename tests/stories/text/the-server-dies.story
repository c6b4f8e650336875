A server that dies, at any moment, costs no request and leaves nothing: the next one goes on from what it sees

ana starts emr-next at 5 %
the server dies after CreateTargetGroup
the server dies before LaunchInstance
the server dies after CreateRule
wait until emr-next is serving
then users reach production 90 %, baseline 5 %, canary 5 %
the server stops
# Nobody looks for ten minutes: users are served as before.
10 min pass
then users reach production 90 %, baseline 5 %, canary 5 %
a new server starts
1 min pass
then nothing more is to be done
ana destroys emr-next
the server dies after DeleteRule
the server dies after TerminateInstance
wait until emr-next is destroyed

----------------------------------------
     0.0 s  Ana started "emr-next": canary and baseline are to get 5 % each.
     0.0 s  > the server dies after CreateTargetGroup
     0.0 s  > the server dies before LaunchInstance
     0.0 s  > the server dies after CreateRule
     0.0 s  The files are being uploaded.
     0.0 s  > the server dies
     2.0 s  > a new server starts
     2.0 s  Arya stopped in the middle of this: create the temporary bucket, create the app security group, create the monitor security group, create the baseline target group, create the canary target group. The next look shows what was done.
     2.0 s  > the server dies
     4.0 s  > a new server starts
     4.0 s  Arya stopped in the middle of this: upload file aaaaaaaaaaaa, upload file bbbbbbbbbbbb, upload file cccccccccccc, create the canary target group, launch the baseline instance, launch the canary instance, launch the monitor instance. The next look shows what was done.
     4.0 s  Arya began to upload file aaaaaaaaaaaa.
     4.0 s  Arya began to upload file bbbbbbbbbbbb.
     4.0 s  Arya began to upload file cccccccccccc.
     4.0 s  Arya launched the baseline instance.
     4.0 s  Arya launched the canary instance.
     4.0 s  Arya launched the monitor instance.
    26.0 s  The baseline instance is booting (20.0 s after its start).
    26.0 s  The canary instance is booting (20.0 s after its start).
    26.0 s  The monitor instance is booting (20.0 s after its start).
    34.0 s  The files are up; the instances are being made ready.
    38.0 s  The baseline instance has its container runtime ready (32.0 s after its start).
    38.0 s  The canary instance has its container runtime ready (32.0 s after its start).
    38.0 s  The monitor instance has its container runtime ready (32.0 s after its start).
    50.0 s  The baseline instance has fetched its files (44.0 s after its start).
    50.0 s  The canary instance has fetched its files (44.0 s after its start).
    50.0 s  The monitor instance has fetched its files (44.0 s after its start).
    62.0 s  The baseline instance has loaded its images (56.0 s after its start).
    62.0 s  The canary instance has loaded its images (56.0 s after its start).
    62.0 s  The monitor instance has loaded its images (56.0 s after its start).
    74.0 s  The baseline instance is up (68.0 s after its start).
    74.0 s  The canary instance is up (68.0 s after its start).
    74.0 s  The monitor instance is up (68.0 s after its start).
    74.0 s  The apps run; no user reaches them yet.
    86.0 s  The baseline instance is warmed up and ready (80.0 s after its start).
    86.0 s  The canary instance is warmed up and ready (80.0 s after its start).
    86.0 s  The monitor instance is warmed up and ready (80.0 s after its start).
    86.0 s  Arya registered the baseline instance in the baseline target group.
    86.0 s  Arya registered the canary instance in the canary target group.
    88.0 s  > the server dies
    90.0 s  > a new server starts
    90.0 s  Arya stopped in the middle of this: create the probe rule at priority 49999. The next look shows what was done.
    96.0 s  Arya began: the canary gets 5 % of matching traffic, the baseline 5 %.
    96.0 s  Arya created the main rule at priority 50000.
    98.0 s  Our main rule stands on the listener: canary and baseline get 5 % each.
    98.0 s  Users reach baseline and canary now.
    98.0 s  > the server stops
   698.0 s  > a new server starts
   698.0 s  Verdict: No worse: the canary fails 1 % of requests (11,900 of 1,190,000), the baseline 1 % (11,900 of 1,190,000); sure of at most 1.05x, the margin is 1.5x.
   758.0 s  Ana asked for everything of ours to be removed.
   758.0 s  > the server dies after DeleteRule
   758.0 s  > the server dies after TerminateInstance
   758.0 s  Everything of ours is being removed.
   758.0 s  > the server dies
   760.0 s  > a new server starts
   760.0 s  Arya stopped in the middle of this: delete the main rule, delete the probe rule. The next look shows what was done.
   760.0 s  Arya deleted the probe rule.
   822.0 s  > the server dies
   824.0 s  > a new server starts
   824.0 s  Arya stopped in the middle of this: take the baseline instance out of the baseline target group, take the canary instance out of the canary target group, terminate the monitor instance. The next look shows what was done.
   824.0 s  No new requests reach our instances; those they have are being finished.
   884.0 s  Arya deleted the baseline target group.
   884.0 s  Arya deleted the canary target group.
   884.0 s  Arya terminated the baseline instance.
   884.0 s  Arya terminated the canary instance.
   930.0 s  Arya deleted the app security group.
   930.0 s  Arya deleted the monitor security group.
   930.0 s  Arya emptied and deleted the temporary bucket.
   962.0 s  Production is exactly as before: 0 differences.
----------------------------------------
emr-next is destroyed. Planned again: no steps.
Its restore proof: 0 differences.
Its users reach production 100 %.
The listener, its rules, its groups and their targets: exactly as before.
