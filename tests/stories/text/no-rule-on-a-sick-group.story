when any group with weight in it has no healthy target

ana starts emr-next at 5 %
wait until emr-next is serving
the canary fails its health checks
wait until emr-next is held
then no main rule stands
then users reach production 100 %
then nothing more is to be done
# With a group that nobody answers for, the share stays where it is.
ana sets emr-next to 5 %
the canary passes its health checks again
1 min pass
ana sets emr-next to 5 %
30 s pass
then the main rule stands
ana destroys emr-next
wait until emr-next is destroyed

----------------------------------------
     0.0 s  Ana started "emr-next": canary and baseline are to get 5 % each.
     0.0 s  The files are being uploaded.
     0.0 s  Arya created the temporary bucket.
     0.0 s  Arya created the app security group.
     0.0 s  Arya created the monitor security group.
     0.0 s  Arya created the baseline target group.
     0.0 s  Arya created the canary target group.
     2.0 s  Arya began to upload file aaaaaaaaaaaa.
     2.0 s  Arya began to upload file bbbbbbbbbbbb.
     2.0 s  Arya began to upload file cccccccccccc.
     2.0 s  Arya launched the baseline instance.
     2.0 s  Arya launched the canary instance.
     2.0 s  Arya launched the monitor instance.
    24.0 s  The baseline instance is booting (20.0 s after its start).
    24.0 s  The canary instance is booting (20.0 s after its start).
    24.0 s  The monitor instance is booting (20.0 s after its start).
    32.0 s  The files are up; the instances are being made ready.
    36.0 s  The baseline instance has its container runtime ready (32.0 s after its start).
    36.0 s  The canary instance has its container runtime ready (32.0 s after its start).
    36.0 s  The monitor instance has its container runtime ready (32.0 s after its start).
    48.0 s  The baseline instance has fetched its files (44.0 s after its start).
    48.0 s  The canary instance has fetched its files (44.0 s after its start).
    48.0 s  The monitor instance has fetched its files (44.0 s after its start).
    60.0 s  The baseline instance has loaded its images (56.0 s after its start).
    60.0 s  The canary instance has loaded its images (56.0 s after its start).
    60.0 s  The monitor instance has loaded its images (56.0 s after its start).
    72.0 s  The baseline instance is up (68.0 s after its start).
    72.0 s  The canary instance is up (68.0 s after its start).
    72.0 s  The monitor instance is up (68.0 s after its start).
    72.0 s  The apps run; no user reaches them yet.
    84.0 s  The baseline instance is warmed up and ready (80.0 s after its start).
    84.0 s  The canary instance is warmed up and ready (80.0 s after its start).
    84.0 s  The monitor instance is warmed up and ready (80.0 s after its start).
    84.0 s  Arya registered the baseline instance in the baseline target group.
    84.0 s  Arya registered the canary instance in the canary target group.
    86.0 s  Arya created the probe rule at priority 49999.
    94.0 s  Arya began: the canary gets 5 % of matching traffic, the baseline 5 %.
    94.0 s  Arya created the main rule at priority 50000.
    96.0 s  Our main rule stands on the listener: canary and baseline get 5 % each.
    96.0 s  Users reach baseline and canary now.
    96.0 s  > the canary fails its health checks
   106.0 s  The watchdog took the canary share to 0 % (before: 5 %): The canary has no healthy target; the load balancer would have sent users there all the same. Production's own rule answers everybody. A person decides: raise the share once it is well, or destroy.
   106.0 s  Users reach production only; the instances stand, and a person decides.
   106.0 s  Arya deleted the main rule.
   106.0 s  > ana sets emr-next to 5 %
   106.0 s  > refused: The canary has no healthy target; the load balancer would have sent users there all the same. Production's own rule answers everybody. A person decides: raise the share once it is well, or destroy. The share was left as it is.
   106.0 s  > the canary passes its health checks again
   166.0 s  Ana set the canary share to 5 % (before: 0 %).
   166.0 s  The apps run; no user reaches them yet.
   166.0 s  Arya created the main rule at priority 50000.
   168.0 s  Our main rule stands on the listener: canary and baseline get 5 % each.
   168.0 s  Judging goes on after a pause of 72 s.
   168.0 s  Users reach baseline and canary now.
   196.0 s  Ana asked for everything of ours to be removed.
   196.0 s  Everything of ours is being removed.
   196.0 s  Arya deleted the main rule.
   196.0 s  Arya deleted the probe rule.
   258.0 s  Arya took the baseline instance out of the baseline target group.
   258.0 s  Arya took the canary instance out of the canary target group.
   258.0 s  Arya terminated the monitor instance.
   260.0 s  No new requests reach our instances; those they have are being finished.
   262.0 s  Arya deleted the baseline target group.
   262.0 s  Arya deleted the canary target group.
   262.0 s  Arya terminated the baseline instance.
   262.0 s  Arya terminated the canary instance.
   308.0 s  Arya deleted the app security group.
   308.0 s  Arya deleted the monitor security group.
   308.0 s  Arya emptied and deleted the temporary bucket.
   340.0 s  Production is exactly as before: 0 differences.
----------------------------------------
emr-next is destroyed. Planned again: no steps.
Its restore proof: 0 differences.
Its users reach production 100 %.
The listener, its rules, its groups and their targets: exactly as before.
