When both arms fail as production does not, no pass is said of them and users leave both

ana starts emr-next at 20 %
wait until emr-next is serving
2 min pass
both arms begin to fail three requests where production fails one
4 min pass
# An outage that both share may be over soon; a pass is not said meanwhile.
then the phase is serving
then the verdict is not enough evidence yet
wait until emr-next is held
10 s pass
then no main rule stands
then users reach production 100 %
then the verdict is not enough evidence yet
ana destroys emr-next
wait until emr-next is destroyed

----------------------------------------
     0.0 s  Ana started "emr-next": canary and baseline are to get 20 % each.
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
    94.0 s  Arya began: the canary gets 20 % of matching traffic, the baseline 20 %.
    94.0 s  Arya created the main rule at priority 50000.
    96.0 s  Our main rule stands on the listener: canary and baseline get 20 % each.
    96.0 s  Users reach baseline and canary now.
   216.0 s  > both arms begin to fail three requests where production fails one
   866.0 s  The watchdog took the canary share to 0 % (before: 20 %): The twins are unfit: baseline and canary both fail far more than production: the baseline 3 % (18,000 of 600,000), the canary 3 % (18,000 of 600,000) and production 1 % (12,000 of 1,200,000) of requests, in the last five minutes and without a break since 17:50 UTC, at no more load on a machine. Comparing them says nothing of the new version. Look for what production has and these machines lack: size, environment and files, security groups, a partner's list of allowed addresses. Production's own rule answers everybody, and the instances stand for a look. A person decides: destroy and start anew with what they lack, or raise the share to try these again.
   866.0 s  Users reach production only; the instances stand, and a person decides.
   866.0 s  Arya deleted the main rule.
   876.0 s  Ana asked for everything of ours to be removed.
   876.0 s  Everything of ours is being removed.
   876.0 s  Arya deleted the probe rule.
   938.0 s  Arya took the baseline instance out of the baseline target group.
   938.0 s  Arya took the canary instance out of the canary target group.
   938.0 s  Arya terminated the monitor instance.
   940.0 s  No new requests reach our instances; those they have are being finished.
   942.0 s  Arya deleted the baseline target group.
   942.0 s  Arya deleted the canary target group.
   942.0 s  Arya terminated the baseline instance.
   942.0 s  Arya terminated the canary instance.
   988.0 s  Arya deleted the app security group.
   988.0 s  Arya deleted the monitor security group.
   988.0 s  Arya emptied and deleted the temporary bucket.
  1020.0 s  Production is exactly as before: 0 differences.
----------------------------------------
emr-next is destroyed. Planned again: no steps.
Its restore proof: 0 differences.
Its users reach production 100 %.
The listener, its rules, its groups and their targets: exactly as before.
